"""Ray as the engine: the tables of a serial run, requests that can be met, loopback."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from counted_run import is_up_to_date, needs_ray
from threadpoolctl import threadpool_limits
from tiny_run import PARAMS, run_stage, write_class_list, write_library, write_params

from pipeline import files, reproduce
from pipeline.jobs import Engine, run_jobs
from pipeline.ray_jobs import cluster, what_to_ask
from robustness.errors import UserError

Machines = list[dict[str, float]]
ONE_GPU: Machines = [{"CPU": 16, "GPU": 1}]
EIGHT_GPUS: Machines = [{"CPU": 64, "GPU": 8}, {"CPU": 128, "GPU": 8}, {"CPU": 4}]
NO_GPU: Machines = [{"CPU": 2}, {"CPU": 4}]


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Engine]:
    needs_ray()
    with cluster(threads=1, device="cpu", at_once=2) as engine:
        yield engine


def test_ray_listens_on_loopback_alone(two_workers: Engine, tmp_path: Path) -> None:
    assert two_workers.submit(tmp_path, "none", "true", "inputs").result().status == 0  # a worker is up
    heard = [
        connection.laddr.ip
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert heard
    # An IPv6 socket may listen on an IPv4 address: ::ffff:127.0.0.1
    addresses = [ip_address(heard_at.removeprefix("::ffff:")) for heard_at in heard]
    assert [address for address in addresses if not address.is_loopback] == []


def test_two_workers_give_the_tables_of_the_serial_run(
    two_workers: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial, side_by_side = tmp_path / "serial", tmp_path / "ray"
    serial.mkdir()
    write_params(serial)
    write_library(serial / files.LIBRARY)
    monkeypatch.setattr(files, "CLASS_LIST", write_class_list(tmp_path / "classes.csv"))
    monkeypatch.chdir(serial)
    run_stage("render")
    side_by_side.mkdir()
    write_params(side_by_side)
    shutil.copytree(files.IMAGES, side_by_side / "rendered")
    (side_by_side / "dvc.yaml").write_text(yaml.safe_dump(jobs_of_the_pipeline(side_by_side)))
    for name, text in reproduce.DVC_FILES.items():
        (side_by_side / name).parent.mkdir(exist_ok=True)
        (side_by_side / name).write_text(text.format(cache="cache"))

    assert run_jobs(side_by_side, lambda: nullcontext(two_workers)) == 0
    assert is_up_to_date(side_by_side)
    with on_threads(PARAMS["threads"]):
        for stage in ("train", "evaluate", "attack", "probe"):
            run_stage(stage)
    for kind in (files.RESULTS, files.MODELS):
        names = contents(serial / kind)
        assert len(names) >= 2 * len(PARAMS["models"])
        assert contents(side_by_side / kind) == names
        for name in names:
            assert (side_by_side / kind / name).read_bytes() == (serial / kind / name).read_bytes(), name


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """As a stage's process has them: sums in another order differ in their last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


def contents(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def jobs_of_the_pipeline(run: Path) -> dict:
    """The real stages of dvc.yaml that have a job a model, over images that are there already."""
    stages = yaml.safe_load((files.SOURCE / "dvc.yaml").read_text())["stages"]
    kept = {name: stages[name] for name in ("train", "evaluate", "attack", "probe")}
    up = os.path.relpath(files.SOURCE, run)
    kept["render"] = {"cmd": "mkdir -p data && cp -r rendered data/images", "outs": [str(files.IMAGES)]}
    return reproduce.code_from({"stages": kept}, up)


@pytest.mark.parametrize(
    ("machines", "settings", "expected"),
    [
        (NO_GPU, {"threads": 1, "device": "auto"}, (1, 0)),
        (NO_GPU, {"threads": None, "device": "cpu"}, (2, 0)),
        (NO_GPU, {"threads": None, "device": "auto", "at_once": 2}, (1, 0)),
        (NO_GPU, {"threads": 4, "device": "auto"}, (4, 0)),
        (ONE_GPU, {"threads": 1, "device": "auto"}, (1, 1)),
        (ONE_GPU, {"threads": 1, "device": "cpu"}, (1, 0)),
        (ONE_GPU, {"threads": 1, "device": "auto", "at_once": 4}, (1, 0.25)),
        (ONE_GPU, {"threads": None, "device": "cuda", "gpus": 0.25}, (4, 0.25)),
        (EIGHT_GPUS, {"threads": None, "device": "cuda"}, (8, 1)),
        (EIGHT_GPUS, {"threads": 2, "device": "cuda", "gpus": 2}, (2, 2)),
    ],
)
def test_what_a_job_asks_for(machines: Machines, settings: dict, expected: tuple[float, float]) -> None:
    assert tuple(what_to_ask(machines, **settings).values()) == expected


@pytest.mark.parametrize(
    ("machines", "settings", "key"),
    [
        (NO_GPU, {"threads": 5, "device": "cpu"}, "5 cores"),
        (NO_GPU, {"threads": 1, "device": "auto", "gpus": 0.5}, "0.5 GPUs"),
        (ONE_GPU, {"threads": 1, "device": "cuda", "gpus": 2}, "2 GPUs"),
        (EIGHT_GPUS, {"threads": 1, "device": "auto", "gpus": float("nan")}, "nan GPUs"),
    ],
)
def test_a_request_that_no_machine_can_meet_is_refused(machines: Machines, settings: dict, key: str) -> None:
    with pytest.raises(UserError, match=key.replace(".", r"\.")):
        what_to_ask(machines, **settings)


def test_what_ray_refuses_is_one_line() -> None:
    needs_ray()
    with (
        pytest.raises(UserError, match="Ray "),
        cluster(threads=1, device="auto", at_once=1, gpus_per_job=-1.0),
    ):
        pass


def test_without_ray_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    asked = ["reproduce", "--profile", "smoke", "--runs", str(tmp_path), "--engine", "ray"]
    monkeypatch.setattr(sys, "argv", asked)
    with pytest.raises(SystemExit) as ended:
        reproduce.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "pip install -e '.[ray]'" in told[0]


def test_a_cluster_decides_itself_how_much_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_ray()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match="--jobs 2"), cluster(threads=1, device="cpu", at_once=2):
        pass
