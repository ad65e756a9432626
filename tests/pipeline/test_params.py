"""Wrong settings are refused in one line that names the key, what is wrong, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from settings_change import changed

from pipeline import evaluate, stage
from pipeline.check import check
from pipeline.settings import load
from robustness.errors import UserError
from robustness.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parents[2]
LENET = {"family": "lenet", "architecture": "lenet5"}
CURVE = {"model": LENET, "objects": [0.5, 1.0]}
DEFAULT = read_yaml(ROOT / "params.yaml") | {"learning_curve": CURVE}


def first_model() -> str:
    return next(iter(DEFAULT["models"]))


def write(folder: Path, settings: object) -> Path:
    path = folder / "params.yaml"
    path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings, sort_keys=False))
    return path


MODEL = ("models", first_model())
CASES = {
    "missing section": (("attack", ...), "attack: is missing"),
    "unknown section": (("atack", {}), "atack: unknown key; did you mean attack"),
    "unknown key": (("training", "epoch", 3), "training.epoch: unknown key; did you mean epochs"),
    "missing key": (("training", "epochs", ...), "training.epochs: is missing"),
    "text for a number": (("training", "epochs", "ten"), "training.epochs"),
    "fraction for a count": (("training", "epochs", 2.5), "training.epochs"),
    "no epochs": (("training", "epochs", 0), "training.epochs"),
    "rate of zero": (("training", "learning_rate", 0.0), "training.learning_rate"),
    "precision": (("training", "precision", "float8"), "training.precision"),
    "negative seed": (("seed", -1), "seed"),
    "device": (("device", "gpu"), "device"),
    "image set": (("data", "set", "imagenette"), "data.set"),
    "image size": (("data", "image_size", 4), "data.image_size"),
    "architecture": ((*MODEL, "architecture", "resnet81"), "architecture: unknown 'resnet81'; did you mean"),
    "family that is another file": (
        ("models", "lenet5", "family", "resnet"),
        "lenet5.family: 'resnet' is another file; lenet5 is of the family lenet",
    ),
    "no family": (
        ("models", {"a": {"architecture": "seresnet18"}}),
        "family: is missing; seresnet18 is of the",
    ),
    "family of pretrained weights": (
        ("models", {"a": {"weights": "timm:resnet50", "family": "resnet"}}),
        "a.family: pretrained weights come with their network",
    ),
    "no front-end": (
        ("models", {"a": LENET}),
        "models.a.frontend: is missing; name one of blurred, divisive_normalisation, evnet, gabor",
    ),
    "family that no model has": (
        ("families", {"a": {"family": "alexnet", "width": 9.0}}),
        "families.a.width",
    ),
    "seed of a replicate": ((*MODEL, "seed", -1), "seed: use a number greater than or equal to 0"),
    "front-end": ((*MODEL, "frontend", "v1"), "frontend: unknown 'v1'"),
    "training": ((*MODEL, "training", "divers"), "training"),
    "width": ((*MODEL, "width", -1.0), "width"),
    "recipe key": ((*MODEL, "recipe", {"epoch": 3}), "recipe.epoch: unknown key"),
    "front-end option": (("frontend", {"kernel": 25}), "unknown key 'kernel'"),
    "model id with capitals": (("models", {"ResNet": DEFAULT["models"][first_model()]}), "model id"),
    "model id with a dash": (("models", {"a-b": DEFAULT["models"][first_model()]}), "model id"),
    "no models": (("models", {}), "models"),
    "models as a list": (("models", ["resnet18"]), "models"),
    "negative budget": (("attack", "norms", "linf", "epsilons", [1, -2]), "epsilons"),
    "budget twice": (("attack", "norms", "linf", "epsilons", [1, 1]), "epsilons"),
    "no budgets": (("attack", "norms", "linf", "epsilons", []), "epsilons"),
    "norm": (("attack", "norms", "l3", {"epsilons": [1], "suite": "quick"}), "attack.norms"),
    "suite": (
        ("attack", "norms", "linf", "suite", "standart"),
        "suite 'standart' is unknown; did you mean standard",
    ),
    "attack": (
        ("attack", "norms", "linf", "suite", [{"pdg": {}}]),
        "attack 'pdg' is unknown; did you mean pgd",
    ),
    "probe": (("probe", "probes", {"filter": {}}), "probe 'filter' is unknown; did you mean filters"),
    "placed condition": (("probe", "placed", ["azimuth/90"]), "neither shift/factor/level nor attack/ε"),
    "placed attack": (("probe", "placed", ["attack/-4"]), "above 0"),
    "rendered factor": (("evaluation", "conditions", {"pose": {"azimuth": [90]}}), "is rendered"),
    "unknown factor": (("evaluation", "conditions", {"corruption": {"hail": [1]}}), "hail"),
    "severity": (("evaluation", "conditions", {"corruption": {"contrast": [9]}}), "9"),
    "scale jitter": (("training", "scale_jitter", -0.1), "training.scale_jitter"),
    "probability of erasing": (("training", "random_erasing", 1.5), "training.random_erasing"),
    "model whose noise is studied": (("attack", "noise_models", ["resnet"]), "there is no model 'resnet'"),
    "check": (("attack", "checks", {"sample": 3}), "attack.checks.sample: unknown key; did you mean samples"),
    "weights": ((*MODEL, "weights", "hub:resnet50"), "names no weights"),
    "front-end before trained weights": (
        ("models", {"a": {"weights": "timm:resnet50", "frontend": "vone"}}),
        "frontend: vone in front of trained weights",
    ),
    "front-end before trained weights, its stage frozen": (
        (
            "models",
            {
                "a": {
                    "weights": "timm:resnet50",
                    "frontend": "vone",
                    "fine_tune": {"stages": ["early"], "epochs": 1, "learning_rate": 0.001},
                }
            },
        ),
        "fine_tune.stages: lacks stem",
    ),
    "SHA-256 of weights that lie in no file": (
        ("models", {"a": {"weights": "python:json:loads", "sha256": "0" * 64}}),
        "models.a.sha256: has no file to be checked",
    ),
    "builder of what is trained here": ((*MODEL, "builder", {"arguments": {}}), "goes with weights python:"),
    "builder of weights from timm": (
        ("models", {"a": {"weights": "timm:resnet50", "builder": {}}}),
        "goes with weights python:",
    ),
    "setting of a builder": (
        ("models", {"a": {"weights": "python:json:loads", "builder": {"mean": [0.5, 0.5]}}}),
        "models.a.builder.mean: mean and std need one number per channel",
    ),
    "new head that is frozen": (
        (
            "models",
            {
                "a": {
                    "weights": "timm:resnet50",
                    "fine_tune": {"stages": ["stem"], "epochs": 1, "learning_rate": 0.001, "new_head": True},
                }
            },
        ),
        "lacks head, which new_head draws anew",
    ),
    "stage that is none": (
        (
            "models",
            {
                "a": {
                    "weights": "timm:resnet50",
                    "fine_tune": {"stages": ["first"], "epochs": 1, "learning_rate": 0.001},
                }
            },
        ),
        "models.a.fine_tune.stages",
    ),
    "fine-tuning of what is trained here": (
        (*MODEL, "fine_tune", {"stages": ["stem"], "epochs": 1, "learning_rate": 0.001}),
        "belongs to pretrained weights",
    ),
    "recipe of trained weights": (
        ("models", {"a": {"weights": "timm:resnet50", "recipe": {"epochs": 3}}}),
        "used as they are",
    ),
    "weights of a file without architecture": (
        ("models", {"a": {"weights": "file:net.pth"}}),
        "say in architecture",
    ),
    "architecture that is not the weights'": (
        ("models", {"a": {"weights": "timm:resnet50", "architecture": "vgg16"}}),
        "leave architecture out",
    ),
    "no architecture": (("models", {"a": {}}), "architecture: is missing"),
    "training on ObjectNet": (
        ("data", {"set": "objectnet", "image_size": 64, "path": "x"}),
        "its licence allows tests only",
    ),
    "set without its folder": (("data", {"set": "cifar10", "image_size": 32}), "data.path: is missing"),
    "setting of another set": (
        ("data", {"set": "cifar10", "image_size": 32, "path": "x", "policy": "official"}),
        "data.policy: cifar10 takes no such setting",
    ),
    "folder for the objects": (("data", "path", "x"), "data.path: the set objects takes no such setting"),
    "share above the whole": (
        ("learning_curve", {**CURVE, "objects": [0.5, 1.5]}),
        "learning_curve.objects: 1.5 is no share: use numbers above 0 and up to 1",
    ),
    "share of nothing": (
        ("learning_curve", {**CURVE, "views": [0.0]}),
        "learning_curve.views: 0 is no",
    ),
    "share twice": (
        ("learning_curve", {**CURVE, "views": [0.5, 0.5]}),
        "views: a share stands there twice",
    ),
    "no share below the whole": (("learning_curve", {**CURVE, "objects": [1.0]}), "has no share below 1"),
    "learning curve of nothing": (("learning_curve", {"objects": [0.5]}), "learning_curve.model: is missing"),
    "unknown key of the learning curve": (
        ("learning_curve", {**CURVE, "object": [0.5]}),
        "learning_curve.object: unknown key; did you mean objects",
    ),
    "architecture of the learning curve": (
        ("learning_curve", "model", {"architecture": "resnet81"}),
        "learning_curve.model.architecture: unknown 'resnet81'; did you mean",
    ),
    "recipe of the learning curve": (
        ("learning_curve", "model", "recipe", {"epoch": 3}),
        "learning_curve.model.recipe.epoch: unknown key",
    ),
    "option of the learning curve's net": (
        ("learning_curve", "model", "options", {"depht": 3}),
        "learning_curve.model.options",
    ),
    "weights in the learning curve": (
        ("learning_curve", "model", {"weights": "timm:resnet50"}),
        "learning_curve.model.weights: timm:resnet50 cannot stand there",
    ),
    "resamples": (("statistics", "resamples", 1), "statistics.resamples"),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_settings_are_refused_in_one_line(case: str, tmp_path: Path) -> None:
    change, message = CASES[case]
    with pytest.raises(UserError) as error:
        check(write(tmp_path, changed(DEFAULT, *change)))
    assert message in str(error.value)
    assert "params.yaml" in str(error.value) or case == "device"
    assert "\n" not in str(error.value)


def test_a_learning_curve_on_diverse_images_needs_them(tmp_path: Path) -> None:
    settings = changed(DEFAULT, "data", "render", {"training": ["canonical"]})
    settings = changed(settings, "attack", "noise_models", None)
    settings |= {"models": {"a": LENET | {"frontend": "learned"}}, "families": {}, "learning_curve": CURVE}
    check(write(tmp_path, settings))
    settings["learning_curve"] = {**CURVE, "model": LENET | {"training": "diverse"}}
    with pytest.raises(UserError, match=r"lacks diverse, which learning_curve\.model is trained on"):
        check(write(tmp_path, settings))


def test_without_the_key_there_is_no_learning_curve(tmp_path: Path) -> None:
    for value in (..., None):
        path = write(tmp_path, changed(DEFAULT, "learning_curve", value))
        check(path)
        assert load(("learning_curve",), path=path).learning_curve is None


def test_a_stage_reads_what_it_declares(tmp_path: Path) -> None:
    path = write(tmp_path, DEFAULT)
    settings = load(("data.set", "model"), "alexnet_vone", path)
    assert (settings.data.set, settings.device, settings.threads) == ("objects", "auto", 1)
    assert (settings.model.architecture, settings.model.frontend) == ("alexnet", "vone")
    for undeclared in ("seed", "training", "models"):
        with pytest.raises(AttributeError, match=undeclared):
            getattr(settings, undeclared)
    with pytest.raises(AttributeError, match="image_size"):
        settings.data.image_size  # noqa: B018
    with pytest.raises(UserError, match=r"params\.yaml: models has no 'alexnet_von'; did you mean"):
        load(("model",), "alexnet_von", path).model  # noqa: B018


def test_a_wrong_setting_is_refused_by_the_stage_that_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path, changed(DEFAULT, "evaluation", "batch_size", 0))
    assert load(("statistics",), path=path).statistics.resamples == 1000
    with pytest.raises(UserError, match=r"params\.yaml: evaluation\.batch_size: .* \(found 0\)"):
        load(("evaluation",), path=path).evaluation  # noqa: B018


def test_a_stage_run_by_hand_ends_with_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, changed(DEFAULT, "evaluation", "conditions", {"corruption": {"contrast": [9]}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["evaluate", "--model", "alexnet"])
    with pytest.raises(SystemExit) as end:
        stage.run_model(evaluate.evaluate, evaluate.READS)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: params.yaml: evaluation.conditions.corruption.contrast: ")
    assert told.count("\n") == 1


def test_a_stage_checks_its_settings_with_its_own_part_of_the_library() -> None:
    code = """
import sys
from pipeline.evaluate import READS
from pipeline.settings import load
settings = load(READS)
settings.seed, settings.evaluation
parts = ("attacks", "probes", "training", "data.on_disk", "data.objects", "learning_curve")
print([part for part in parts if f"robustness.{part}" in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"set": "objectnet", "path": "x", "image_size": 64}, "its licence allows tests only"),
        ({"set": "imagenet_samples", "image_size": 64}, "it holds test images only"),
        ({"set": "imagenet", "path": "x", "image_size": 64}, "it holds test images only"),
    ],
    ids=["objectnet", "samples", "imagenet"],
)
def test_test_images_are_not_fine_tuned_on(data: dict, message: str, tmp_path: Path) -> None:
    model = {"weights": "timm:resnet50"}
    settings = DEFAULT | {
        "data": data,
        "models": {"a": model},
        "attack": DEFAULT["attack"] | {"noise_models": []},
        "learning_curve": None,
    }
    check(write(tmp_path, settings))
    model["fine_tune"] = {"stages": ["stem"], "epochs": 1, "learning_rate": 0.001}
    with pytest.raises(UserError, match=message):
        check(write(tmp_path, settings))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nseed: 2\n", "stands twice"),
        ("seed: [1\n", "not valid YAML"),
        ("- 1\n- 2\n", "must hold a mapping"),
        ("", "must hold a mapping"),
        ("models: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
    ids=["twice", "broken", "list", "empty", "code"],
)
def test_files_that_are_no_settings(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        check(write(tmp_path, text))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        check(tmp_path / "params.yaml")
