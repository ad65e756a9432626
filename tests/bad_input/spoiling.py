"""What the tests of bad input share: how files are spoiled, and how a refusal looks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import run_stage

from pipeline import stage

Spoil = Callable[[], object]
# What is spoiled, the stage that meets it, words of its line.
Case = tuple[Spoil, str, tuple[str, ...]]


def contents(folder: Path) -> dict[str, bytes]:
    """All files but those of work in hand: under names that nothing reads, or finished parts of a stage."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {"work", ".images-parts"} & set(path.parts)
    }


def refused(do: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which it is refused; whatever it does, no file changes."""
    folder = Path.cwd()
    before = contents(folder)
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        stage.guard(do)
    assert end.value.code == 2
    told = capsys.readouterr().err
    lines = [line for line in told.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, told
    assert "Traceback" not in told
    assert contents(folder) == before
    return lines[0]


def met(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Spoil the current run: the stage that meets it refuses in a line with these words; no code was run."""
    spoil, name, words = case
    spoil()
    line = refused(lambda: run_stage(name), capsys)
    assert all(word in line for word in words), line
    assert not Path("code_was_run").exists()


def cut(path: Path | str, keep: float = 0.5) -> Spoil:
    def spoil() -> None:
        data = Path(path).read_bytes()
        Path(path).write_bytes(data[: int(len(data) * keep)])

    return spoil


def remove(path: Path | str) -> Spoil:
    return lambda: shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


def write(path: Path | str, data: bytes) -> Spoil:
    return lambda: Path(path).write_bytes(data) and None


class Bomb:
    """Unpickled, it would leave a mark."""

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("code_was_run"),))
