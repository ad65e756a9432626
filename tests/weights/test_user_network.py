"""A network of the user's own: used, fine-tuned, behind a front-end; what does not work is one line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import timm
import torch
import torchvision
import yaml
from safetensors.torch import save_file
from test_fine_tuning import folder_of_two_colours
from tiny_run import PARAMS, run_stage, write_params

from pipeline import files, inputs, reproduce
from robustness import frontends, models, weights
from robustness.errors import UserError
from robustness.weights import parse, stages, user_network
from robustness.weights.user_network import Builder

HELPER = "WIDTH = 8\n"
NET = """
import torch
from torch import nn
from own_helper import WIDTH

class Net(nn.Module):
    def __init__(self, classes, channels, answer):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, WIDTH, 5, stride=2, padding=2)
        self.act1 = nn.ReLU(inplace=True)
        self.block1 = nn.Sequential(nn.Conv2d(WIDTH, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.block2 = nn.Sequential(nn.Conv2d(16, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU())
        self.block3 = nn.Sequential(nn.Conv2d(24, 32, 3, 1, 1), nn.BatchNorm2d(32), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flat = nn.Flatten()
        self.fc = nn.Linear(32, classes)
        self.answer = answer

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.act1(self.conv1(x)))))
        y = self.fc(self.flat(self.pool(x)))
        if self.answer == "tuple":
            return y, x
        if self.answer == "mapping":
            return {"logits": y}
        if self.answer == "no gradient":
            return y.detach()
        return x if self.answer == "map" else y

def build(classes=2, channels=3, answer="logits"):
    return Net(classes, channels, answer)

def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 8), nn.ReLU(), nn.Linear(8, 2))

def text():
    return "no network"

def broken():
    raise ValueError("no such width")
"""
NAME = "own_net:build"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the user's two files, on Python's path; the current folder."""
    (tmp_path / "own_helper.py").write_text(HELPER)
    (tmp_path / "own_net.py").write_text(NET)
    (tmp_path / "own_wrong.py").write_text("import not_there_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for module in ("own_net", "own_helper", "own_wrong"):
        sys.modules.pop(module, None)


def classifier(frontend: str = "learned", size: int = 32, name: str = NAME, **builder: object):
    return weights.build(
        parse(f"python:{name}"), image_size=size, num_classes=2, builder=builder or None, frontend=frontend,
        frontend_options={"simple_channels": 4, "complex_channels": 4}, seed=5,
    )  # fmt: skip


@pytest.mark.parametrize("answer", ["logits", "tuple", "mapping"])
def test_its_logits_are_the_network_s_own(answer: str) -> None:
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    model = classifier(arguments={"answer": answer}, mean=mean, std=std)
    x = torch.rand(3, 3, 32, 32)
    normalised = (x - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    given = model.network.inner(normalised)
    given = given[0] if answer == "tuple" else given["logits"] if answer == "mapping" else given
    assert torch.allclose(model(x), given, atol=1e-6)
    assert model.spec.architecture == "own_net"


def test_stages_are_found_by_running_it() -> None:
    assert list(classifier().stages.values()) == [
        f"network.inner.{path}" for path in ("act1", "block1", "block2", "block3", "flat")
    ]


def test_one_channel_sees_the_luminance() -> None:
    model = classifier(arguments={"channels": 1}, mean=[0.5], std=[0.25])
    x = torch.rand(2, 3, 32, 32)
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    assert torch.allclose(model(x), model.network.inner((grey - 0.5) / 0.25), atol=1e-5)


def test_weights_come_from_the_named_file(own: Path) -> None:
    torch.manual_seed(11)
    donor = classifier().network.inner
    for parameter in donor.parameters():
        parameter.data.normal_(0, 0.1)
    save_file(donor.state_dict(), str(own / "own.safetensors"))
    model = classifier(file=str(own / "own.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(donor.parameters(), model.network.parameters(), strict=True))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_front_end_stands_in_place_of_its_stem(channels: int) -> None:
    grey = {"mean": [0.5], "std": [0.25]} if channels == 1 else {}
    model = classifier("vone", arguments={"channels": channels}, **grey)
    assert model.spec.frontend == "vone"
    assert not isinstance(model.network.inner.conv1, torch.nn.Conv2d)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 2)


LIBRARY_NETS = {
    "shufflenet": (lambda: torchvision.models.shufflenet_v2_x1_0(weights=None), ("conv1.0", "maxpool"), 4),
    "regnet": (lambda: torchvision.models.regnet_y_400mf(weights=None), ("stem", "stem"), 2),
    "mobilenetv3": (lambda: timm.create_model("mobilenetv3_small_050"), ("conv_stem", "bn1"), 2),
    "resnest": (lambda: timm.create_model("resnet10t"), ("conv1.0", "conv1.2"), 2),
}


@pytest.mark.parametrize("name", LIBRARY_NETS)
def test_the_stem_of_a_library_s_network_is_found_by_running_it(name: str) -> None:
    make, ends, stride = LIBRARY_NETS[name]
    network = make().eval()
    paths = stages.find(network, name, 64)
    entry = stages.with_stem(network, name, paths, 64)
    assert (entry.stem.modules[0], entry.stem.modules[-1]) == ends
    assert entry.stem.stride == stride
    frontends.install(network, entry, "gabor", image_size=64, seed=0)
    assert network(torch.rand(1, 3, 64, 64)).shape == (1, 1000)


def test_no_front_end_fits_a_stem_that_is_no_chain(own: Path) -> None:
    (own / "own_net.py").write_text(NET.replace("self.act1(self.conv1(x))", "self.act1(self.conv1(x) + 1)"))
    with pytest.raises(UserError, match=r"no front-end fits, since inner.conv1, inner.act1 is no chain"):
        classifier("vone")


WRONG = {
    "no module": ("own_nett:build", {}, "there is no Python module own_nett"),
    "an import that fails": ("own_wrong:build", {}, "cannot be imported (ModuleNotFoundError"),
    "no callable": ("own_net:biuld", {}, "did you mean build"),
    "not module:callable": ("own_net", {}, "is not python:<module>:<callable>"),
    "builder that raises": ("own_net:broken", {}, "raised (ValueError: no such width, own_net.py:"),
    "wrong argument": (NAME, {"arguments": {"clases": 2}}, "raised (TypeError"),
    "no module returned": ("own_net:text", {}, "gave a str"),
    "no classifier": (NAME, {"arguments": {"answer": "map"}}, "no classifier: 2 images give (2, 32, 4, 4)"),
    "no gradient": (NAME, {"arguments": {"answer": "no gradient"}}, "gives no gradient"),
    "other channels": (NAME, {"arguments": {"channels": 5}}, "does not take images (N, 3, 32, 32)"),
    "other classes": (NAME, {"arguments": {"classes": 7}}, "answers with 7 classes, the image set has 2"),
    "no maps": ("own_net:mlp", {}, "no feature maps"),
    "stages that are not there": (NAME, {"stages": dict.fromkeys(models.architectures.STAGES, "conv9")},
                                  "stages.stem: 'conv9' is no module that runs"),
    "some stages": (NAME, {"stages": {"stem": "conv1"}}, "must name a module for each"),
    "file of another net": (NAME, {"file": "other.safetensors"}, "does not fit python:own_net:build"),
    "no such file": (NAME, {"file": "nothing.safetensors"}, "no such file"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_work_is_one_line(case: str, own: Path) -> None:
    save_file({"weight": torch.zeros(2)}, str(own / "other.safetensors"))
    name, builder, message = WRONG[case]
    with pytest.raises(UserError) as caught:
        classifier(name=name, **builder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_digest_follows_the_file_and_its_imports(own: Path) -> None:
    before = user_network.code_digest(NAME)
    (own / "unrelated.py").write_text("x = 1\n")
    assert user_network.code_digest(NAME) == before
    (own / "own_helper.py").write_text("WIDTH = 12\n")
    assert user_network.code_digest(NAME) != before


def test_the_digest_of_a_module_in_a_package_follows_the_package(own: Path) -> None:
    (own / "own_nets").mkdir()
    for name, text in (("__init__", ""), ("net", "from own_nets.part import build\n"), ("part", NET)):
        (own / "own_nets" / f"{name}.py").write_text(text)
    before = user_network.code_digest("own_nets.net:build")
    (own / "own_helper.py").write_text("WIDTH = 12\n")  # imported by the part from beside the package
    between = user_network.code_digest("own_nets.net:build")
    (own / "own_nets" / "part.py").write_text(NET + "\n")
    assert len({before, between, user_network.code_digest("own_nets.net:build")}) == 3


def test_the_digest_of_an_installed_package_is_of_that_package_alone() -> None:
    first = user_network.code_digest("timm.models.resnet:resnet18")
    assert first == user_network.code_digest("timm.models.resnet:resnet18")
    assert first != user_network.code_digest("torchvision.models.resnet:resnet18")


def test_the_settings_of_a_builder_are_checked() -> None:
    with pytest.raises(UserError, match="inputsize: unknown key"):
        Builder.read({"inputsize": 3})


def params(own: Path, **model: object) -> dict:
    data = {"set": "image_folder", "path": str(own / "folder"), "image_size": 32, "workers": 1}
    mine = {"weights": f"python:{NAME}", **model}
    return PARAMS | {
        "data": data,
        "training": PARAMS["training"] | {"batch_size": 4, "translate_pixels": 0},
        "models": {"mine": mine},
    }


@pytest.mark.parametrize("frontend", ["learned", "vone"])
def test_stages_train_it_from_scratch_and_read_it_again(own: Path, frontend: str) -> None:
    folder_of_two_colours(own / "folder")
    fine_tune = {"stages": [*models.architectures.STAGES, "head"], "epochs": 3, "learning_rate": 0.01}
    write_params(own, params(own, frontend=frontend, fine_tune=fine_tune))
    for stage in ("render", "train", "evaluate"):
        run_stage(stage, *(() if stage == "render" else ("mine",)))
    notes = models.read_header(files.weights("mine"))[1]
    assert notes["pretrained"]["code"] == user_network.code_digest(NAME)
    loaded = inputs.load_model("mine")
    assert loaded.spec.frontend == frontend
    fresh = classifier(frontend)
    assert not torch.equal(loaded.network.inner.fc.weight, fresh.network.inner.fc.weight)
    with pytest.raises(UserError, match="runs only if the settings name it"):
        weights.load(files.weights("mine"))
    (own / "own_helper.py").write_text("WIDTH = 12\n")
    with pytest.raises(UserError, match="was made with other code"):
        inputs.load_model("mine")


def test_a_profile_s_run_depends_on_the_code(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = files.SOURCE
    (own / "profiles").mkdir()
    (own / "profiles" / "own.yaml").write_text(yaml.safe_dump(params(own)))
    (own / "dvc.yaml").write_text((root / "dvc.yaml").read_text())
    (own / "robustness").mkdir()
    shutil.copytree(root / ".dvc" / "plots", own / ".dvc" / "plots")
    monkeypatch.setattr(files, "SOURCE", own)
    run = reproduce.prepare("own", own / "runs")
    before = (run / "code.yaml").read_text()
    declared = yaml.safe_load((run / "dvc.yaml").read_text())["stages"]["train"]["do"]["params"]
    assert {"code.yaml": ["${key}"]} in declared
    (own / "own_helper.py").write_text("WIDTH = 12\n")
    reproduce.prepare("own", own / "runs")
    assert (run / "code.yaml").read_text() != before
