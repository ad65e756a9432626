"""What a GPU computes is what the CPU computes; skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from robustness import attacks, models
from robustness.augmentation import Augmentation
from robustness.data.digits import build_digits
from robustness.data.image_set import ImageSet
from robustness.devices import resolve
from robustness.evaluation import ImageCondition, evaluate
from robustness.frontends.blocks.normal import normal_rows
from robustness.probes import registry as probes
from robustness.training import Recipe, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    build_digits(tmp_path_factory.mktemp("digits") / "images", image_size=32, seed=1)
    return ImageSet.open(tmp_path_factory.getbasetemp() / "digits0" / "images")


@pytest.fixture
def gpu() -> torch.device:
    return resolve("cuda")


def model(frontend: str = "learned") -> models.Classifier:
    options = (
        {"simple_channels": 8, "complex_channels": 8, "minimum_stride": 2} if frontend != "learned" else {}
    )
    return models.build(
        models.ModelSpec(
            architecture="resnet18", frontend=frontend, training="canonical", num_classes=10, image_size=32,
            seed=1, width=0.125, options={"small_stem": True}, frontend_options=options,
        )
    )  # fmt: skip


def test_augmentation_and_noise_are_the_cpus(gpu: torch.device) -> None:
    x = torch.rand(16, 3, 32, 32)
    for settings in ({"scale_jitter": 0.2, "color_jitter": 0.3, "grayscale": 0.5, "random_erasing": 0.5}, {}):
        recipe = Augmentation(translate_pixels=4, **settings)
        ours, theirs = (recipe(x.to(d), torch.Generator().manual_seed(3)).cpu() for d in ("cpu", gpu))
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    seeds = torch.arange(9)
    torch.testing.assert_close(
        normal_rows(1001, seeds), normal_rows(1001, seeds.to(gpu)).cpu(), atol=1e-4, rtol=0
    )


def test_images_on_the_device_are_those_on_disk(images: ImageSet, gpu: torch.device) -> None:
    rows = images.rows(split="test")[::3]
    wanted = rows[[5, 0, 2]]
    torch.testing.assert_close(images.on(gpu, rows)(wanted).cpu(), images.batch(wanted))


@pytest.mark.parametrize("frontend", ["learned", "vone", "learned_noise"])
def test_training_attack_and_evaluation(
    frontend: str, images: ImageSet, gpu: torch.device, tmp_path: Path
) -> None:
    net = model(frontend)
    recipe = Recipe(
        batch_size=32, epochs=6, learning_rate=0.01, weight_decay=0.01, label_smoothing=0.0,
        translate_pixels=1, hflip=False, precision="bfloat16",
    )  # fmt: skip
    history = train(
        net, images, images.rows(split="train"), images.rows(split="validation"), recipe,
        seed=1, device=gpu, resume=tmp_path / "state.pt",
    )  # fmt: skip
    assert history["validation_accuracy"].iloc[-1] > 0.7
    rows, conditions = images.rows(split="test"), [ImageCondition("plane", "rotation", "15")]
    found = evaluate(net, images, rows, conditions, batch_size=64, seed=1, device=gpu)
    other = evaluate(net, images, rows, conditions, batch_size=50, seed=1, device=gpu)
    assert (found["prediction"] == other["prediction"]).mean() > 0.99
    if frontend == "learned":  # a GPU's noise is not the CPU's
        cpu = evaluate(net, images, rows, conditions, batch_size=64, seed=1, device=torch.device("cpu"))
        assert (found["prediction"] == cpu["prediction"]).mean() > 0.99
        np.testing.assert_allclose(found["margin"], cpu["margin"], atol=0.02)
    x, y = images.batch(rows[:60]), images.labels(rows[:60])
    curves = []
    for device in (gpu, torch.device("cpu")):
        setup = attacks.Setup(batch_size=64, eot_samples=4, eval_samples=8)
        result = attacks.attack(
            net, x, y, {"apgd_ce": {"steps": 20}}, (4 / 255, 16 / 255), setup, device=device
        )
        finite = result.table[np.isfinite(result.table["epsilon"])]
        curves.append(finite.groupby("epsilon")["right"].mean().to_numpy())
    np.testing.assert_allclose(*curves, atol=0.06)


@pytest.mark.parametrize("name", probes.names())
@pytest.mark.parametrize("frontend", ["learned", "vone"])
def test_probe(name: str, frontend: str, images: ImageSet, gpu: torch.device) -> None:
    few = {"ascent": {"iterations": 2, "starts": 1}, "inversion": {"iterations": [2, 1], "count": 1}}
    rows = images.rows(split="test")[:60]
    net = model(frontend).to(gpu)
    result = probes.run(name, net, images.batch(rows).to(gpu), images.labels(rows), **few.get(name, {}))
    assert len(result.table)
