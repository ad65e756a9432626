"""The CIFAR-10 ResNet-18 from pyautoattack is the network that its package builds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from robustness import weights
from robustness.errors import UserError
from robustness.weights import cifar_resnet

pytestmark = pytest.mark.skipif(find_spec("pyautoattack") is None, reason="no pyautoattack (the extra [dev])")
SOURCE = weights.parse("package:pyautoattack_resnet18")


def test_same_function_as_the_packages_own_network(tmp_path: Path) -> None:
    from pyautoattack.examples.resnet import ResNet18

    theirs = ResNet18().eval()
    theirs.load_state_dict(torch.load(cifar_resnet.package_file(), weights_only=True, map_location="cpu"))
    ours = weights.build(SOURCE, image_size=32, num_classes=10)
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-4, rtol=1e-4)
    assert (ours.spec.architecture, ours.input_size) == ("resnet18", 32)
    weights.save(ours, SOURCE, tmp_path / "weights.safetensors", {})
    with torch.inference_mode():
        torch.testing.assert_close(weights.load(tmp_path / "weights.safetensors")(x), ours(x))


def test_it_answers_with_ten_classes() -> None:
    with pytest.raises(UserError, match="answers with 10 classes, the image set has 1000"):
        weights.build(SOURCE, image_size=32, num_classes=1000)
