"""A worker runs a stage as ``python -m`` would, one after the other."""

from __future__ import annotations

import os
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from pipeline.worker import LOGS, STAMPS, processes

TELLS = """
import os, sys
print(__name__, sys.argv[1:], os.environ["ASKED"], os.getcwd(), os.getpid())
os.system("echo from below")
print("to stderr", file=sys.stderr)
"""


def test_it_runs_as_the_main_module_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASKED", "for")
    (tmp_path / "tells.py").write_text(TELLS)
    told = []
    other = f"{sys.executable} tells.py x"
    with processes(1) as engine:
        for command in ("python -m tells --model a", "python -m tells --model 'b c'", other):
            assert engine.submit(tmp_path, "job", command, "inputs").result().status == 0
            assert (tmp_path / STAMPS / "job").read_text() == "inputs"
            told.append((tmp_path / LOGS / "job.log").read_text())
    for text, arguments in zip(told, (["--model", "a"], ["--model", "b c"], ["x"]), strict=True):
        assert f"__main__ {arguments} for {tmp_path}" in text
        assert "from below" in text
        assert "to stderr" in text
    numbers = [int(text.split(str(tmp_path))[1].split()[0]) for text in told]
    assert numbers[0] == numbers[1] != numbers[2]
    assert os.getpid() not in numbers


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("raise SystemExit(2)", 2, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit('said so')", 1, "said so"),
        ("raise ValueError('broken here')", 1, "broken here"),
        ("import os\nos._exit(3)", None, ""),
    ],
    ids=["status", "no status", "message", "exception", "gone"],
)
def test_how_it_ended_is_told(text: str, status: int | None, told: str, tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text(text)
    with processes(1) as engine:
        future = engine.submit(tmp_path, "job", "python -m ends", "inputs")
        if status is None:
            assert isinstance(future.exception(), BrokenProcessPool)
        else:
            assert future.result().status == status
    assert told in (tmp_path / LOGS / "job.log").read_text()
    assert (tmp_path / STAMPS / "job").exists() == (status == 0)
