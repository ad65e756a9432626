"""Files and folders appear whole or not at all, and what killed processes left is removed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from robustness.errors import UserError
from robustness.whole_files import whole

KILLED = """
import os, signal, sys
from pathlib import Path
from robustness.whole_files import whole
with whole(Path(sys.argv[1])) as temporary:
    temporary.mkdir()
    (temporary / "images.npy").write_bytes(b"half")
    temporary.with_name(temporary.name + "-journal").write_bytes(b"")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write(path: Path, content: str, kind: str) -> None:
    with whole(path) as temporary:
        if kind == "folder":
            temporary.mkdir()
            (temporary / "file").write_text(content)
        else:
            temporary.write_text(content)


def read(path: Path) -> str:
    return (path / "file" if path.is_dir() else path).read_text()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    place = tmp_path / "images"
    subprocess.run([sys.executable, "-c", KILLED, str(place)], check=False)
    left = min(names(tmp_path), key=len)
    assert names(tmp_path) == {left, f"{left}-journal"}
    (tmp_path / ".images-parts").mkdir()  # finished parts of a rendering: kept
    elsewhere = left.replace(".images-", ".images-another_machine_")
    (tmp_path / elsewhere).mkdir()
    with whole(place) as mine:
        mine.mkdir()
        with whole(place) as other:
            assert other != mine
            assert names(tmp_path) == {mine.name, ".images-parts", elsewhere}
    assert names(tmp_path) == {"images", ".images-parts", elsewhere}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_older_one_stays_until_the_new_one_is_whole(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "deep" / "result [1]"  # as a pattern, such a name would not match itself
    for content in ("old", "new"):
        write(place, content, kind)
        assert read(place) == content
    with whole(place) as temporary:  # nothing is written
        assert not temporary.exists()
    with pytest.raises(ZeroDivisionError), whole(place) as temporary:
        temporary.write_text(str(1 / 0))
    assert read(place) == "new"
    assert names(place.parent) == {place.name}


@pytest.mark.parametrize("refused", [1, 2])
def test_a_disk_that_refuses_is_named_and_the_older_one_stays(
    refused: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the older folder cannot be moved aside, or the new one not into its place."""
    place, replace, calls = tmp_path / "set", os.replace, []
    write(place, "old", "folder")

    def refuse(*names: Path) -> None:
        calls.append(names)
        if len(calls) == refused:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(*names)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match=r"set: cannot be written \(No space left on device\); free space"):
        write(place, "new", "folder")
    assert read(place) == "old"
    assert names(tmp_path) == {"set"}


def test_interrupted_while_the_older_folder_is_removed_the_new_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "set"
    write(place, "old", "folder")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(place, "new", "folder")
    assert read(place) == "new"
