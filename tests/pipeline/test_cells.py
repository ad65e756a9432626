"""Cells side by side: recorded as by ``dvc repro``, a failed one alone is done again; with either engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from counted_run import is_up_to_date, make, needs_ray, times

from pipeline.cells import Engine, available_cores, processes, run_cells
from pipeline.ray_cells import cluster


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture(params=["processes", "ray"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "processes":
        with processes(2) as started:
            yield started
        return
    needs_ray()
    with cluster(threads=1, device="cpu", jobs=2) as started:
        yield started


def test_a_failed_cell_is_shown_all_others_finish_and_it_alone_is_done_again(
    run: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = run / "break_train_b"
    broken.touch()
    assert run_cells(run, engine) == 2
    told = capsys.readouterr().err
    assert "train@b failed (status 2)" in told
    assert "this cell is broken" in told
    assert "failed: train@b; left out: evaluate@b, attack@b, probe@b; the others are done" in told
    for stage in ("train", "evaluate", "attack", "probe"):
        assert times(run, stage) == [1, stage == "train", 1]

    broken.unlink()
    assert run_cells(run, engine) == 0
    assert times(run, "train") == [1, 2, 1]
    for stage in ("evaluate", "attack", "probe"):
        assert times(run, stage) == [1, 1, 1]
    assert is_up_to_date(run)

    # Trained again with the same outcome: what comes after it has nothing to do.
    (run / "train_c").unlink()
    assert run_cells(run, engine) == 0
    assert times(run, "train") == [1, 2, 2]
    assert times(run, "attack") == [1, 1, 1]


def test_a_failure_before_the_cells_ends_the_run(run: Path) -> None:
    (run / "break_render_all").touch()
    with processes(2) as engine:
        assert run_cells(run, engine) != 0
    assert times(run, "train") == [0, 0, 0]


def test_a_model_goes_on_while_another_is_trained(run: Path) -> None:
    """train@c waits for attack@a: run one stage after the other, both would wait for ever."""
    script = run / "cell.py"
    script.write_text(
        script.read_text()
        + "if (stage, model) == ('train', 'c'):\n"
        + "    end = time.monotonic() + 240\n"
        + "    while not pathlib.Path('attack_a').exists():\n"
        + "        assert time.monotonic() < end, 'attack@a did not start'\n"
        + "        time.sleep(0.1)\n"
    )
    with processes(2) as engine:
        assert run_cells(run, engine) == 0
    assert times(run, "attack") == [1, 1, 1]


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1
