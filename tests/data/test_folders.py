"""What a killed process leaves beside a folder is removed by the next; what a living one has is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from robustness.data.folders import replace_folder, temporary_beside

KILLED = """
import os, signal, sys
from pathlib import Path
from robustness.data.folders import temporary_beside
folder = temporary_beside(Path(sys.argv[1]))
folder.mkdir()
(folder / "images.npy").write_bytes(b"half")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    place = tmp_path / "images"
    subprocess.run([sys.executable, "-c", KILLED, str(place)], check=False)
    (left,) = tmp_path.iterdir()
    mine = temporary_beside(place)
    mine.mkdir()
    (tmp_path / ".images-parts").mkdir()  # finished parts of a rendering: kept
    elsewhere = tmp_path / left.name.replace(".images-", ".images-another_machine_")
    elsewhere.mkdir()
    other = temporary_beside(place)
    assert other != mine
    assert str(os.getpid()) in other.name
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, ".images-parts", elsewhere.name}


def test_a_folder_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    for content in ("old", "new"):
        made = temporary_beside(tmp_path / "set")
        made.mkdir()
        (made / "file").write_text(content)
        replace_folder(made, tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert (tmp_path / "set" / "file").read_text() == "new"
