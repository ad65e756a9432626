"""One way to register, and a new entry of any kind is one file: docs/add-a-kind.md, done for each kind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from tiny_run import LENET, ORDER, PARAMS, write_params

from robustness.errors import UserError
from robustness.registry import Registry

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "add-a-kind.md").read_text()
ENTRIES = dict(re.findall(r"```python\n# robustness/(\S+)\n(.*?)```", PAGE, re.DOTALL))
KINDS = ("architectures", "frontends", "attacks", "shifts", "probes", "data/on_disk", "report/sections")

TOY = {"family": "toynet", "frontend": "averaged"}
RUN = PARAMS | {
    "data": {"set": "stripes", "image_size": 32, "workers": 1},
    "evaluation": {"batch_size": 16, "conditions": {"colour": {"inverted": [1]}}},
    "attack": PARAMS["attack"]
    | {"norms": {"linf": {"epsilons": [64], "suite": [{"speckle": {}, "pgd": {"steps": 2}}]}}},
    "probe": {"images": 10, "probes": {"lightness": {}}},
    "training": PARAMS["training"] | {"epochs": 30, "learning_rate": 0.01},
    "models": {"toy": TOY, "plain": LENET | {"frontend": "learned"}},
}
STAGES = f"""
import sys
sys.path[:0] = [{str(ROOT / "tests")!r}]
import torch
from pipeline import report, track
from tiny_run import run_stage
torch.set_num_threads(1)
report.provenance = track.provenance = lambda *_: {{"git_commit": "0123abcd"}}
for stage in {(*ORDER, "report", "track")}:
    run_stage(stage)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a copy of the code with a toy entry of every kind, each in one file."""
    folder = tmp_path_factory.mktemp("toys")
    for package in ("pipeline", "robustness"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data").mkdir()
    shutil.copyfile(ROOT / "data" / "README.md", folder / "data" / "README.md")
    for path, text in ENTRIES.items():
        (folder / "robustness" / path).write_text(text)
    write_params(folder, RUN)
    environment = os.environ | {"PYTHONPATH": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", STAGES],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_a_new_entry_of_every_kind_is_in_the_tables(run: Path) -> None:
    tables = {path.stem: pd.read_parquet(path) for path in (run / "data" / "tables").glob("*.parquet")}
    toy = tables["models"].set_index("model").loc["toy"]
    assert (toy["architecture"], toy["frontend"]) == ("toynet", "averaged")
    assert {"colour"} == set(tables["predictions"]["shift"]) - {"clean"}
    assert "speckle" in set(tables["attacks"]["by"])
    assert {"lightness"} == set(tables["probes"]["probe"])
    scores = set(tables["scores"]["metric"])
    assert {
        "colour/inverted/1/accuracy",
        "attack/worst_linf/eps_64/robust_accuracy",
        "probe/lightness/logits/spread",
    } <= scores


def test_it_is_in_mlflow(run: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run / 'mlflow.db'}")
    (experiment,) = [each for each in client.search_experiments() if each.name.startswith("robustness")]
    runs = client.search_runs([experiment.experiment_id])
    (toy,) = [each for each in runs if each.data.params["architecture"] == "toynet"]
    assert toy.data.params["frontend"] == "averaged"
    assert "colour/accuracy" in toy.data.metrics
    table = json.loads(Path(client.download_artifacts(toy.info.run_id, "scores.json")).read_text())
    assert {"colour/inverted/1/accuracy", "probe/lightness/logits/spread"} <= {
        row[0] for row in table["data"]
    }


@pytest.mark.parametrize(
    "words",
    [
        "ToyNet", "averaged", "inverted", "speckle", "The probe lightness in numbers", "across",
        "What is the weather?", "It rains on every model.",
    ],
)  # fmt: skip
def test_it_is_in_the_report(run: Path, words: str) -> None:
    assert words in (run / "reports" / "robustness.html").read_text()


def test_a_probe_without_a_drawer_of_its_own_has_its_pictures_in_a_grid(run: Path) -> None:
    from PIL import Image

    with Image.open(run / "reports" / "figures" / "toy" / "lightness.png") as picture:
        assert picture.width > 3 * picture.height
        assert picture.convert("L").getextrema()[0] < 100


def test_a_registry_answers_by_name_and_refuses_a_second_entry_of_one_name() -> None:
    things: Registry[SimpleNamespace] = Registry(
        "thing", lambda name, target, colour="red": SimpleNamespace(name=name, make=target, colour=colour)
    )

    @things.register("ball", colour="blue")
    def ball() -> str:
        return "round"

    assert (things.names(), things.get("ball").colour, things.get("ball").make()) == (
        ("ball",),
        "blue",
        "round",
    )
    assert "ball" in things
    assert [each.name for each in things] == ["ball"]
    assert ball() == "round"
    with pytest.raises(UserError, match="thing 'bal' is unknown; did you mean ball"):
        things.get("bal")
    with pytest.raises(ValueError, match="thing 'ball' is registered twice"):
        things.register("ball")(ball)


def test_the_page_has_a_file_of_every_kind() -> None:
    assert tuple(str(Path(path).parent) for path in ENTRIES) == KINDS
