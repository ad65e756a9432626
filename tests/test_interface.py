"""``import robustness as rb``: the measurements as functions, the same numbers as the library's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import robustness as rb
from robustness import models
from robustness.data.image_set import ImageSet
from robustness.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
CONDITIONS = {"corruption": {"gaussian_noise": [3]}, "plane": {"rotation": [30]}}


class Small(nn.Module):
    """A network of nobody's registry."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.act1 = nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU()
        self.down1 = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv2d(12, 16, 3, 2, 1), nn.ReLU())
        self.down3 = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU())
        self.flat, self.fc = nn.Flatten(), nn.Linear(16 * 4 * 4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.flat(self.down3(self.down2(self.down1(self.act1(self.conv1(x)))))))


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return rb.open_set("digits", image_size=32)


@pytest.fixture(scope="module")
def model(digits: ImageSet) -> nn.Module:
    """A quickly trained network; attacks and shifts need something to take away."""
    torch.manual_seed(0)
    rows = digits.rows(split="train", role="canonical")
    network = Small(3)
    x, y = digits.batch(rows), digits.labels(rows)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(8):
        for part in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[part]), y[part]).backward()
            optimiser.step()
    return rb.load_model(network, digits)


def test_evaluate_and_score(model: nn.Module, digits: ImageSet) -> None:
    table = rb.evaluate(model, digits, CONDITIONS, name="small", count=60)
    clean = table[table["shift"] == "clean"]
    rows = clean["sample"].to_numpy()
    predicted = model(digits.batch(rows)).argmax(1).numpy()
    assert (clean["prediction"].to_numpy() == predicted).all()
    scores = rb.score(table, digits, resamples=50).set_index("metric")
    assert scores.loc["clean/accuracy", "value"] == pytest.approx(
        (clean["prediction"] == clean["label"]).mean()
    )
    assert scores.loc["clean/accuracy", "value"] > 0.8
    assert "corruption/drop" in scores.index


def test_attack(model: nn.Module, digits: ImageSet) -> None:
    table = rb.attack(model, digits, (8, 32), suite="quick", count=40, name="small")
    robust = table[table["epsilon"].isin([8 / 255, 32 / 255])].groupby("epsilon")["robust"].mean()
    clean = table.groupby("sample")["clean_correct"].first().mean()
    assert robust.iloc[1] < robust.iloc[0] < clean
    scores = rb.score(table, digits, resamples=50).set_index("metric")
    found = scores.loc["attack/worst_linf/eps_8/robust_accuracy", "value"]
    assert found == pytest.approx(robust.iloc[0])


def test_probe(model: nn.Module, digits: ImageSet) -> None:
    result = rb.probe(model, digits, "filters", images_seen=20, name="small")
    assert set(result.table["model"]) == {"small"}
    assert result.arrays["weights"].shape[0] == 8


def test_a_checkpoint_of_a_run_is_read(digits: ImageSet, tmp_path: Path) -> None:
    spec = models.ModelSpec("lenet5", "vone", "canonical", 10, 32, 3, mean=(0.5,) * 3, std=(0.25,) * 3)
    net = models.build(spec)
    models.save(net, tmp_path / "weights.safetensors")
    loaded = rb.load_model(tmp_path / "weights.safetensors", digits)
    with pytest.raises(UserError, match="is of a set of 32 pixels, this one has 16"):
        rb.load_model(tmp_path / "weights.safetensors", rb.open_set("digits", image_size=16))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), loaded.parameters(), strict=True))


def test_mistakes_are_one_line(digits: ImageSet, model: nn.Module) -> None:
    for wrong in (
        lambda: rb.load_model("hub:resnet50", digits),
        lambda: rb.load_model(nn.Linear(3, 2), digits),
        lambda: rb.open_set("imagenette", image_size=32),
        lambda: rb.evaluate(model, digits, {"corruption": {"rain": [1]}}),
        lambda: rb.attack(model, digits, suite="strongest"),
        lambda: rb.probe(model, digits, "filter"),
        lambda: rb.score(rb.evaluate(model, digits)[["model", "label"]], digits),
    ):
        with pytest.raises(UserError) as caught:
            wrong()
        assert "\n" not in str(caught.value)


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, robustness; print('torch' in sys.modules, *robustness.INTERFACE)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["False", *rb.INTERFACE]


@pytest.fixture(scope="module")
def measured(model: nn.Module, digits: ImageSet) -> list:
    """Of two models, one of them attacked and probed."""
    attacked = rb.attack(model, digits, [2], suite="quick", count=20, name="small")
    tables = [rb.evaluate(model, digits, CONDITIONS, name=name, count=60) for name in ("small", "other")]
    return [*tables, attacked, rb.probe(model, digits, "filters", images_seen=20, name="small")]


def test_a_report_is_written_on_what_was_measured(measured: list, digits: ImageSet, tmp_path: Path) -> None:
    rb.write_report(tmp_path / "out", digits, *measured, set_name="digits", resamples=100)
    page = (tmp_path / "out" / "robustness.html").read_text()
    assert (tmp_path / "out" / "robustness.pdf").read_bytes().startswith(b"%PDF")
    assert "2 models" in page
    assert "Partial run: other without attacks, checks, probes and histories." in page
    assert "not checked" in page
    assert {"small", "other"} <= {path.stem for path in (tmp_path / "out" / "cards").glob("*.pdf")}
    assert (tmp_path / "out" / "figures" / "small" / "filters.png").is_file()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [((2, 3), "lacks what evaluate returned"), ((0, 0), "two tables of predictions are of 'small'")],
)
def test_a_report_that_cannot_be_written_is_one_line(
    chosen: tuple[int, ...], message: str, measured: list, digits: ImageSet, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        rb.write_report(tmp_path, digits, *(measured[place] for place in chosen))
    with pytest.raises(UserError, match="takes what evaluate"):
        rb.write_report(tmp_path, digits, measured[0][["model", "label"]])


@pytest.mark.parametrize("start", ["pipeline.command_line", "pipeline.fetch_objects"])
def test_another_package_of_the_same_name_is_told_in_one_line(start: str, tmp_path: Path) -> None:
    """Found first outside the checkout; in its folder this project's is found first."""
    other = tmp_path / "site" / "robustness"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("name = 'robustness'\n")
    code = f"import runpy; runpy.run_module({start!r}, run_name='__main__')"
    paths = os.pathsep.join([str(tmp_path / "site"), str(ROOT)])
    how = {"env": os.environ | {"PYTHONPATH": paths}, "capture_output": True, "text": True, "check": False}
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, **how)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: the package robustness is another one")
    assert str(other) in ended.stderr
    assert ended.stderr.count("\n") == 1
    asked = subprocess.run([sys.executable, "-m", start, "--help"], cwd=ROOT, **how)
    assert asked.returncode == 0, asked.stderr
