"""The same result again: what batch size, workers, order, neighbours and processes may not change.

docs/reproducibility.md says which outputs are equal byte for byte, and within what the others are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits
from tiny_run import ORDER, PARAMS, run_stage, write_class_list, write_library, write_params

from pipeline import files
from pipeline.worker import processes

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow

NOISE = 1e-4
"""How far confidences and margins (of the order of 1) may lie apart where the batch size differs."""


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    """The number of threads is a setting, since sums depend on it; a stage in its own process sets it."""
    before = torch.get_num_threads()
    torch.set_num_threads(PARAMS["threads"])
    with threadpool_limits(PARAMS["threads"]):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished tiny run, up to its report."""
    folder = tmp_path_factory.mktemp("once")
    write_params(folder)
    write_library(folder / "data" / "library")
    write_class_list(folder / "classes.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(files, "CLASS_LIST", folder / "classes.csv")
        for name in (*ORDER, "report"):
            run_stage(name)
    return folder


@pytest.fixture
def again(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run, in which stages are run again; the current folder. The global generators that
    nothing may use are in another state."""
    folder = tmp_path / "again"
    shutil.copytree(once, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(files, "CLASS_LIST", folder / "classes.csv")
    torch.manual_seed(1234)
    np.random.seed(1234)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same_bytes(once: Path, again: Path, place: Path) -> None:
    """Equal files under ``place``, at least one."""
    expected, found = contents(once / place), contents(again / place)
    assert expected
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []


def side_by_side(run: Path, commands: dict[str, str]) -> None:
    """Jobs at once, as with ``make repro JOBS=2``: a process each, in which text has other hashes."""
    with pytest.MonkeyPatch.context() as patch, processes(len(commands)) as engine:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("PYTHONHASHSEED", "77")
        ended = [engine.submit(run, job, command, "inputs") for job, command in commands.items()]
        assert [future.result().status for future in ended] == [0] * len(commands)


def test_the_number_of_render_workers_changes_no_byte(once: Path, again: Path) -> None:
    shutil.rmtree(files.IMAGES)
    write_params(again, PARAMS | {"data": PARAMS["data"] | {"workers": 2}})
    run_stage("render")
    same_bytes(once, again, files.IMAGES)


def test_a_second_training_changes_no_byte_alone_or_beside_another(once: Path, again: Path) -> None:
    """Weights and history, of a noisy model, too: trained side by side in processes of their own."""
    shutil.rmtree(files.MODELS)
    names = list(PARAMS["models"])
    side_by_side(again, {f"train@{name}": f"python -m pipeline.train --model {name}" for name in names})
    for name in names:
        assert set(contents(again / files.MODELS / name)) == {"weights.safetensors", "history.parquet"}
    same_bytes(once, again, files.MODELS)


def test_the_order_of_jobs_changes_no_byte(once: Path, again: Path) -> None:
    """The last model first, its probe before its attack, the attack before its predictions."""
    shutil.rmtree(files.RESULTS)
    for name in reversed(PARAMS["models"]):
        for stage in ("probe", "attack", "evaluate"):
            run_stage(stage, name)
    same_bytes(once, again, files.RESULTS)


def with_batches_of(size: int) -> dict:
    return PARAMS | {
        "evaluation": PARAMS["evaluation"] | {"batch_size": size},
        "attack": PARAMS["attack"] | {"batch_size": size},
    }


@pytest.mark.parametrize("model", PARAMS["models"])
@pytest.mark.parametrize("size", [1, 7])
def test_the_batch_size_changes_predictions_by_float_noise_alone(
    size: int, model: str, once: Path, again: Path
) -> None:
    write_params(again, with_batches_of(size))
    run_stage("evaluate", model)
    place = files.RESULTS / model / files.RESULTS_OF["predictions"]
    close(
        pd.read_parquet(once / place), pd.read_parquet(again / place), {"confidence": NOISE, "margin": NOISE}
    )


@pytest.mark.parametrize("model", PARAMS["models"])
def test_the_batch_size_changes_attacks_by_float_noise_alone(model: str, once: Path, again: Path) -> None:
    write_params(again, with_batches_of(4))
    run_stage("attack", model)
    place = files.RESULTS / model / files.RESULTS_OF["attacks"]
    before, now = pd.read_parquet(once / place), pd.read_parquet(again / place)
    close(before, now, {"distance": NOISE})


def close(before: pd.DataFrame, now: pd.DataFrame, within: dict[str, float]) -> None:
    """Equal tables, but for columns of floating-point numbers, which lie within the given distance."""
    pd.testing.assert_frame_equal(before.drop(columns=list(within)), now.drop(columns=list(within)))
    for column, limit in within.items():
        np.testing.assert_allclose(before[column], now[column], rtol=0, atol=limit, err_msg=column)


def test_the_bytes_of_tables_do_not_depend_on_the_process(once: Path, again: Path) -> None:
    shutil.rmtree(files.TABLES)
    side_by_side(again, {"collate": "python -m pipeline.collate"})
    same_bytes(once, again, files.TABLES)
    for name in ("scores.csv", "summary.csv", "curves.csv", "metrics.json"):
        assert (once / files.REPORTS / name).read_bytes() == (again / files.REPORTS / name).read_bytes()


def test_a_second_report_changes_no_byte(once: Path, again: Path) -> None:
    """PDF, page, cards and figures, written by a process of their own."""
    kept = {name: (again / files.REPORTS / name).read_bytes() for name in ("scores.csv", "metrics.json")}
    shutil.rmtree(files.REPORTS)
    files.REPORTS.mkdir()
    for name, content in kept.items():
        (files.REPORTS / name).write_bytes(content)
    side_by_side(again, {"report": "python -m pipeline.report"})
    for name in ("robustness.pdf", "robustness.html", "overview.svg"):
        assert (once / files.REPORTS / name).read_bytes() == (again / files.REPORTS / name).read_bytes(), name
    for name in ("cards", "figures"):
        same_bytes(once, again, files.REPORTS / name)
