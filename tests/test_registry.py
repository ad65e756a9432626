"""One way to register, and a new entry of any kind is one file: README's "How to add", done for each kind."""

from __future__ import annotations

import os
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
ENTRIES = {
    "architectures/toynet.py": '''
from torch import nn
from robustness.architectures.registry import Stem, register

@register(
    "toynet", family="ToyNet", year=2026, paper="none", parameters=None, input_size=32, smallest=8,
    stem=Stem(("stem",), stride=1, channels=8),
    stages={name: name for name in ("stem", "early", "middle", "late", "penultimate")},
)
def toynet(*, num_classes, in_channels, image_size, width):
    layers = {"stem": nn.Conv2d(in_channels, 8, 3, padding=1)}
    for name in ("early", "middle", "late"):
        layers[name] = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
    layers |= {"penultimate": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())}
    net = nn.Sequential()
    for name, layer in (layers | {"fc": nn.Linear(8, num_classes)}).items():
        net.add_module(name, layer)
    return net
''',
    "frontends/blurred.py": '''
from torch import nn
from robustness.frontends.registry import register

@register("blurred")
def blurred(stem):
    return (nn.Sequential(nn.AvgPool2d(3, 1, 1), stem.modules[0]), *stem.modules[1:])
''',
    "shifts/inverted.py": '''
from robustness.shifts.registry import register

@register("colour/inverted", levels=(0, 1), clean_level=0, unit="yes or no", description="light for dark")
def inverted(images, level, draws):
    return 1 - images
''',
    "attacks/speckle.py": '''
from foolbox.attacks import LinfBasicIterativeAttack
from robustness.attacks.registry import register

@register("speckle", norms=("linf",))
def speckle(norm):
    return LinfBasicIterativeAttack(steps=10)
''',
    "probes/lightness.py": '''
from robustness.probes.registry import register
from robustness.probes.result import ProbeResult, Rows, to_numpy

@register("lightness")
def lightness(model, images, labels, *, seed=0, progress=None):
    rows = Rows("lightness", {"logits": 1.0})
    rows.add("logits", "spread", float(model(images).detach().std()))
    return ProbeResult("lightness", rows.table(), {"pictures/looked_at": to_numpy(images[:3])})
''',
    "data/on_disk/stripes.py": '''
import numpy as np
import pandas as pd
from robustness.data.on_disk.listing import Listing
from robustness.data.on_disk.registry import register

@register("stripes", trains=True)
def stripes(path=None, seed=0, **options):
    number = np.arange(60)
    images = np.random.default_rng(seed).integers(0, 60, (60, 32, 32, 3), dtype=np.uint8)
    images[number % 2 == 0, ::2] += 190
    images[number % 2 == 1, :, ::2] += 190
    split = np.where(number < 30, "train", np.where(number < 40, "validation", "test"))
    samples = pd.DataFrame({
        "split": split, "role": np.where(split == "test", "test", "canonical"),
        "object": [f"stripe{n}" for n in number], "label": number % 2,
        "shift": "clean", "factor": "none", "level": "0", "row": number})
    return Listing(["across", "down"], samples, "Answers across or down.", "Nobody's.", array=images)
''',
    "report/sections/weather.py": '''
from robustness.report.document import Answer, Section
from robustness.report.sections.registry import register

@register("weather", number=8)
def write(context):
    return Section("weather", "What is the weather?", 8, [Answer("It rains on every model.")], [])
''',
}  # fmt: skip

TOY = {"family": "toynet", "frontend": "blurred"}
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
    assert (toy["architecture"], toy["frontend"]) == ("toynet", "blurred")
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
    assert toy.data.params["frontend"] == "blurred"
    for metric in ("colour/inverted/1/accuracy", "probe/lightness/logits/spread"):
        assert metric in toy.data.metrics


@pytest.mark.parametrize(
    "words",
    [
        "ToyNet", "blurred", "inverted", "speckle", "The probe lightness in numbers", "across",
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


def test_readme_tells_how_to_add_an_entry_of_every_kind() -> None:
    part = (ROOT / "README.md").read_text().partition("## How to add")[2].partition("\n## ")[0]
    for path in ENTRIES:
        assert f"robustness/{Path(path).parent}/" in part, path
