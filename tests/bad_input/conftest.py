"""A finished tiny run, from library to collated tables, made once; every test spoils a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_run import ORDER, run_stage, write_class_list, write_library, write_params

from pipeline import files


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run."""
    folder = tmp_path_factory.mktemp("run")
    write_params(folder)
    write_library(folder / "data" / "library")
    class_list = write_class_list(folder / "classes.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(files, "CLASS_LIST", class_list)
        for name in ORDER:
            run_stage(name)
    return folder


@pytest.fixture
def run(whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished run to spoil; the current folder."""
    folder = tmp_path / "run"
    shutil.copytree(whole_run, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(files, "CLASS_LIST", folder / "classes.csv")
    monkeypatch.setattr(files, "DOWNLOADS", folder / "cache")
    return folder
