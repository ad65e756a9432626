"""Cells side by side: recorded as by ``dvc repro``, a failed one alone is done again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cells import available_cores, dvc, run_side_by_side

# Every command leaves a line in its own count, so that a test sees how often it ran.
CELL = "python cell.py {stage} ${{item.model}}"
DVC_YAML = "stages:\n  render:\n    cmd: python cell.py render all\n    outs: [images]\n" + "".join(
    f"""  {stage}:
    matrix: {{model: [a, b, c]}}
    cmd: {CELL.format(stage=stage)}
    deps: [{dep}]
    outs: ["{stage}_${{item.model}}"]
"""
    for stage, dep in (
        ("train", "images"),
        ("evaluate", '"train_${item.model}"'),
        ("attack", '"train_${item.model}"'),
        ("probe", '"train_${item.model}"'),
    )
)
CELL_PY = """
import pathlib, sys
stage, model = sys.argv[1:]
count = pathlib.Path(f"count_{stage}_{model}")
count.write_text((count.read_text() if count.exists() else "") + "x")
if pathlib.Path(f"break_{stage}_{model}").exists():
    print("this cell is broken")
    sys.exit(2)
pathlib.Path("images" if stage == "render" else f"{stage}_{model}").write_text(stage + model)
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "cell.py").write_text(CELL_PY)
    assert dvc(tmp_path, "init", "--quiet", "--no-scm") == 0
    return tmp_path


def times(run: Path, cell: str) -> int:
    count = run / f"count_{cell}"
    return len(count.read_text()) if count.exists() else 0


def test_a_failed_cell_is_shown_its_siblings_finish_and_it_alone_is_done_again(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = run / "break_train_b"
    broken.touch()
    assert run_side_by_side(run, 2) == 2
    told = capsys.readouterr().err
    assert "train@b failed (status 2)" in told
    assert "this cell is broken" in told
    assert (run / "train_a").exists()
    assert (run / "train_c").exists()
    assert times(run, "evaluate_a") == 0  # a later wave waits until the one before is whole

    broken.unlink()
    assert run_side_by_side(run, 2) == 0
    assert {cell: times(run, f"train_{cell}") for cell in "abc"} == {"a": 1, "b": 2, "c": 1}
    for stage in ("evaluate", "attack", "probe"):
        assert [times(run, f"{stage}_{cell}") for cell in "abc"] == [1, 1, 1]

    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=run, capture_output=True, text=True, check=True
    )
    assert "Data and pipelines are up to date." in done.stdout + done.stderr


def test_a_failure_before_the_cells_ends_the_run(run: Path) -> None:
    (run / "break_render_all").touch()
    assert run_side_by_side(run, 2) != 0
    assert times(run, "train_a") == 0


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1
