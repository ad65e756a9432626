"""Jobs side by side: recorded as by ``dvc repro``, a failed one alone is done again; with either engine."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import pytest
from counted_run import MODELS, STAGES, contents, counts, is_up_to_date, make, needs_ray, times

from pipeline.job_seconds import SECONDS, JobSeconds
from pipeline.jobs import LOST, Engine, run_jobs
from pipeline.ray_jobs import cluster
from pipeline.worker import Ended, processes
from robustness.processor import available_cores

Start = Callable[[], AbstractContextManager[Engine]]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture(scope="module")
def ray() -> Iterator[Engine]:
    needs_ray()
    with cluster(threads=1, device="cpu", at_once=2) as started:
        yield started


@pytest.fixture(params=["processes", "ray"])
def engine(request: pytest.FixtureRequest) -> Start:
    if request.param == "ray":
        return partial(nullcontext, request.getfixturevalue("ray"))
    return partial(processes, 2)


@pytest.fixture
def two() -> Iterator[Start]:
    """Two workers that stay from run to run of a test."""
    with processes(2) as started:
        yield partial(nullcontext, started)


def test_a_failed_job_is_shown_all_others_finish_and_it_alone_is_done_again(
    run: Path, engine: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = run / "break_train_b"
    broken.touch()
    assert run_jobs(run, engine) == 2
    told = capsys.readouterr()
    assert "13 jobs to do: 1 render, 3 train, 3 evaluate, 3 attack, 3 probe\n" in told.out
    assert "train@b failed (status 2)" in told.err
    assert "this job is broken" in told.err
    assert "failed: train@b; left out: evaluate@b, attack@b, probe@b; the others are done" in told.err
    for stage in STAGES:
        assert times(run, stage) == [1, stage == "train", 1]

    broken.unlink()
    assert run_jobs(run, engine) == 0
    assert "4 jobs to do: 1 train, 1 evaluate, 1 attack, 1 probe\n" in capsys.readouterr().out
    assert times(run, "train") == [1, 2, 1]
    for stage in STAGES[1:]:
        assert times(run, stage) == [1, 1, 1]
    assert is_up_to_date(run)
    assert run_jobs(run, engine) == 0
    assert capsys.readouterr().out == "nothing to do: 13 jobs are up to date\n"


def test_a_worker_killed_in_mid_job_costs_that_job_only(
    run: Path, engine: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "kill_train_b").write_text("x")
    (run / "kill_attack_c").write_text("xx")
    assert run_jobs(run, engine) == LOST
    # Killed once: run once more. Killed twice: reported, with what it had printed.
    assert times(run, "train") == [1, 2, 1]
    assert times(run, "attack") == [1, 1, 2]
    for stage in ("evaluate", "probe"):
        assert times(run, stage) == [1, 1, 1]
    told = capsys.readouterr().err
    assert "attack@c failed (its worker died: " in told
    assert "this job kills" in told

    assert run_jobs(run, engine) == 0
    assert times(run, "attack") == [1, 1, 3]
    assert is_up_to_date(run)


def test_a_dependency_that_is_new_in_a_recorded_stage_is_recorded_like_the_others(
    run: Path, two: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_jobs(run, two) == 0
    graph = (run / "dvc.yaml").read_text()
    (run / "dvc.yaml").write_text(graph.replace("deps: [images,", "deps: [images, job.py,"))
    assert run_jobs(run, two) == 0
    assert times(run, "train") == [2, 2, 2]
    capsys.readouterr()
    assert run_jobs(run, two) == 0
    assert capsys.readouterr().out == "nothing to do: 13 jobs are up to date\n"


def test_what_need_not_run_does_not(run: Path, two: Start) -> None:
    assert run_jobs(run, two) == 0
    whole = contents(run)
    # Trained again with the same outcome: what comes after it has nothing to do.
    (run / "recipe_c").write_text("another")
    assert run_jobs(run, two) == 0
    assert times(run, "train") == [1, 1, 2]
    for stage in STAGES[1:]:
        assert times(run, stage) == [1, 1, 1]
    # Lost, but in the cache.
    (run / "train_a").unlink()
    (run / "probe_b").write_text("not what it wrote")
    before = counts(run)
    assert run_jobs(run, two) == 0
    assert counts(run) == before
    assert contents(run) == whole
    # Code that changes while the run is at work counts from the next run on.
    script = (run / "job.py").read_text()
    (run / "job.py").write_text("open('job.py', 'a').write('# changed')\n" + script)
    assert run_jobs(run, two) == 0
    assert not is_up_to_date(run)


def test_a_failure_before_the_jobs_ends_the_run(
    run: Path, two: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "nothing_render_all").touch()
    assert run_jobs(run, two) != 0
    assert "render failed (output 'images' does not exist)" in capsys.readouterr().err
    (run / "nothing_render_all").unlink()
    (run / "recipe_b").unlink()
    assert run_jobs(run, two) != 0
    assert "train@b failed (dependency 'recipe_b' does not exist)" in capsys.readouterr().err
    assert times(run, "train") == [1, 0, 1]


def test_a_model_goes_on_while_another_is_trained(run: Path, two: Start) -> None:
    """train@c waits for attack@a: run one stage after the other, both would wait for ever."""
    script = run / "job.py"
    script.write_text(
        script.read_text()
        + "if (stage, model) == ('train', 'c'):\n"
        + "    end = time.monotonic() + 240\n"
        + "    while not pathlib.Path('attack_a').exists():\n"
        + "        assert time.monotonic() < end, 'attack@a did not start'\n"
        + "        time.sleep(0.1)\n"
    )
    assert run_jobs(run, two) == 0
    assert times(run, "attack") == [1, 1, 1]


def test_what_others_wait_for_or_takes_long_starts_first_and_seconds_are_kept(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    known = JobSeconds()
    earlier = {"train@a": 10, "train@b": 5, "attack@a": 10, "probe@a": 1, "probe@b": 1, "probe@c": 40}
    for job, seconds in earlier.items():
        known.add(job, Ended(0, seconds, seconds))
    assert run_jobs(run, partial(processes, 1)) == 0
    # What others wait for, then what was never timed, then what took longest.
    order = (run / "order").read_text().split()
    trained = ["train_a", "train_b", "train_c"]
    assert order[:7] == ["render_all", *trained, "evaluate_a", "probe_c", "attack_a"]
    told = capsys.readouterr().out.splitlines()
    table = [line.split()[:2] for line in told[1:]]
    assert table == [["stage", "jobs"], ["render", "1"]] + [[stage, str(len(MODELS))] for stage in STAGES]
    with SECONDS.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len(earlier) + 13
    assert all(0.04 < float(row["seconds"]) < 5 for row in rows[len(earlier) :])


def test_time_left_is_told_by_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seconds = JobSeconds()
    assert seconds.of_stages() == {}
    seconds.add("train@a", Ended(0, 10, 10))
    seconds.add("train@b", Ended(0, 20, 10))
    later = JobSeconds()
    assert (later.of_stages(), later.of_jobs()) == ({"train": 15}, {"train@a": 10, "train@b": 20})
    later.add("train@b", Ended(0, 40, 10))
    assert later.of_stages() == {"train": 40}


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1
