"""The disk, the network or git refuse: one line, exit status 2, nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from spoiling import contents, refused
from tiny_run import ORDER, PARAMS, run_stage, write_params

from pipeline import files, reproduce
from robustness.data.objects import fetch as library_fetch
from robustness.provenance import provenance

ROOT = Path(__file__).resolve().parents[2]


def full_disk(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "replace", refuse)


def read_only(patch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    patch.setattr(Path, "mkdir", refuse)


@pytest.mark.parametrize("trouble", [full_disk, read_only])
@pytest.mark.parametrize("name", ORDER)
def test_a_disk_that_refuses(
    name: str, trouble, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        trouble(patch)
        line = refused(lambda: run_stage(name), capsys)
    assert "free space or rights" in line
    assert "No space left" in line or "Permission denied" in line


def test_an_image_set_takes_its_place_before_it_is_written(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mapped files are sparse: written on a full disk, they would end the process by a signal."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert "No space left" in refused(lambda: run_stage("render"), capsys)
    assert not [
        path
        for path in Path("data").iterdir()
        if path.name.startswith(".images-") and "parts" not in path.name
    ]


def fetch() -> None:
    run_stage("fetch_objects")


def test_no_network(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data/library")
    monkeypatch.setattr(library_fetch, "INSTALLED", run / "not there")
    monkeypatch.setattr(library_fetch, "_run_apt", lambda *_: "E: Could not resolve the host")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    line = refused(fetch, capsys)
    assert "Could not resolve" in line
    assert "three ways" in line
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "no apt-get" in refused(fetch, capsys)


@pytest.mark.parametrize("kind", ["missing", "file", "cut short"])
def test_a_named_library_that_is_wrong(kind: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data/library")
    named = run / "named"
    if kind == "file":
        named.write_text("")
    elif kind == "cut short":
        named.mkdir()
        for name in library_fetch.FILES:
            (named / name).write_bytes(b"PK")
    write_params(run, PARAMS | {"data": PARAMS["data"] | {"library": str(named)}})
    line = refused(fetch, capsys)
    assert str(named) in line
    assert "three ways" in line


@pytest.mark.parametrize("lacks", [".dvc", ".git"])
def test_a_copy_without_git(
    lacks: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in {".dvc", ".git"} - {lacks}:
        Path(name).mkdir()
    monkeypatch.setattr(files, "SOURCE", run)
    monkeypatch.setattr(sys, "argv", ["reproduce"])
    with pytest.raises(SystemExit) as end:
        reproduce.main()
    assert end.value.code == 2
    assert (
        capsys.readouterr().err
        == f"error: {lacks}: missing; clone the repository with git instead of copying files\n"
    )


def test_results_name_their_commit_where_there_is_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(run))
    assert provenance(Path(), Path("dvc.lock"))["git_commit"] == "unknown"


# --- The same as a user meets it: processes.
def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip


def test_the_exit_status_of_a_process(run: Path) -> None:
    done = process("-m", "pipeline.train", "--model", "plane")
    assert (done.returncode, done.stderr) == (
        2, "error: params.yaml: models has no 'plane'; did you mean plain?\n")  # fmt: skip


def test_a_process_whose_disk_is_full(run: Path) -> None:
    """A limit on the size of files makes every real write fail half-way."""
    before = contents(run)
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        "sys.argv = ['train', '--model', 'plain'];"
        "import runpy; runpy.run_module('pipeline.train', run_name='__main__')"
    )
    done = process("-c", limited)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "state.pt: cannot be written (File too large); free space or rights" in line
    assert contents(run) == before
