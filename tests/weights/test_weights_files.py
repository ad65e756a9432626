"""Names of weights, files read without executing code, outputs gathered into classes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from robustness import architectures, weights
from robustness.errors import UserError
from robustness.weights import networks, reading
from robustness.weights.pretrained import Gather


@pytest.mark.parametrize(
    ("text", "sha256", "words"),
    [
        ("resnet50", None, "names no weights"),
        ("hub:resnet50", None, "names no weights"),
        ("timm:", None, "names no weights"),
        ("package:efficientnet_lite9", None, "did you mean"),
        ("timm:resnet50", "0" * 64, "sha256"),
        ("file:x.pth", "abc", "64 lower-case"),
    ],
)
def test_wrong_names_are_refused(text: str, sha256: str | None, words: str) -> None:
    with pytest.raises(UserError, match=words):
        weights.parse(text, sha256)


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return (Path.write_text, (self.place, "executed"))


def test_code_in_a_file_is_not_executed(tmp_path: Path) -> None:
    place = tmp_path / "executed"
    for path in (tmp_path / "new.pth", tmp_path / "old.pth"):
        torch.save({"state_dict": Harmful(place)}, path, _use_new_zipfile_serialization="new" in path.name)
        with pytest.raises(UserError, match="more than tensors"):
            reading.read_state(path)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Harmful(place)))
    with pytest.raises(UserError):
        reading.read_state(tmp_path / "plain.pth")
    assert not place.exists()


def test_sha256_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"module.a": torch.ones(2)}, path)
    assert list(reading.read_state(path, reading.digest(path))) == ["a"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="SHA-256 is"):
        reading.read_state(path, "0" * 64)
    with pytest.raises(UserError, match=r"not a readable|refused"):
        reading.read_state(path)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_fills_an_architecture_of_the_registry(suffix: str, tmp_path: Path) -> None:
    network = architectures.build("resnet18", num_classes=4, image_size=224).eval()
    path = tmp_path / f"net.{suffix}"
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, str(path)) if suffix == "safetensors" else torch.save({"state_dict": state}, path)
    source = weights.parse(f"file:{path}", reading.digest(path))
    model = weights.build(source, architecture="resnet18", image_size=224, num_classes=4)
    x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (networks.IMAGENET_MEAN, networks.IMAGENET_STD))
    with torch.inference_mode():
        torch.testing.assert_close(model(x), network((x - mean) / std))
    assert model.stages["late"] == "network.layer4"
    with pytest.raises(UserError, match="do not fit"):
        weights.build(source, architecture="resnet18", image_size=224, num_classes=5)
    with pytest.raises(UserError, match="say in architecture"):
        weights.build(source, image_size=224, num_classes=4)


def test_the_largest_of_a_class_counts_and_unnamed_outputs_do_not() -> None:
    logits = torch.tensor([[1.0, 9.0, 3.0, 2.0, 5.0]])
    gather = Gather([[0, 2], [3], [4, 0]], 5)
    assert gather(logits).tolist() == [[3.0, 2.0, 5.0]]
    with pytest.raises(UserError, match="the network has 4 outputs"):
        Gather([[0], [4]], 4)


def test_settings_come_with_the_weights() -> None:
    assert networks.traits("timm", "tf_efficientnet_lite0") == networks.Traits(224, (0.5,) * 3, (0.5,) * 3)
    assert networks.traits("timm", "tf_efficientnet_lite2").input_size == 260
    assert networks.traits("torchvision", "vgg16").mean == networks.IMAGENET_MEAN
    with pytest.raises(UserError, match="timm has no such model; did you mean"):
        networks.traits("timm", "resnet5O")
    with pytest.raises(UserError, match="torchvision has no such model; did you mean"):
        networks.traits("torchvision", "vgg61")


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.error import URLError

    import timm

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", unreachable)
    source = weights.parse("timm:resnet18.tv_in1k")
    with pytest.raises(UserError, match=r"timm:resnet18\.tv_in1k: cannot be downloaded .* file:<path>"):
        weights.build(source, image_size=224)
