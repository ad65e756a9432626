"""The command ``robustness``: it lists what is registered, measures a model, and refuses in one line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline import command_line, new_profile
from pipeline.check import check
from robustness import architectures, attacks, frontends, models, probes, shifts
from robustness.data.on_disk import DATA_SETS

SMALL = ["--set", "digits", "--size", "32"]
REGISTERED = {
    "models": architectures.names(),
    "frontends": frontends.names(),
    "attacks": attacks.names(),
    "shifts": shifts.names(),
    "probes": probes.names(),
    "sets": DATA_SETS.names(),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained LeNet-5 for the digits."""
    path = tmp_path_factory.mktemp("model") / "weights.safetensors"
    spec = models.ModelSpec("lenet5", "learned", "canonical", 10, 32, 3)
    models.save(models.build(spec), path)
    return str(path)


@pytest.mark.parametrize("kind", command_line.KINDS)
def test_it_lists_every_entry_with_a_sentence(kind: str) -> None:
    table = command_line.registered(kind)
    assert set(table.iloc[:, 0]) == set(REGISTERED[kind])
    assert (table.iloc[:, -1].str.len() > 5).all()


@pytest.mark.parametrize(
    ("command", "options", "shown"),
    [
        ("evaluate", ["--condition", "corruption/contrast/3"], "clean/accuracy"),
        ("attack", ["--suite", "quick", "--epsilons", "4"], "attack/worst_linf/eps_4/robust_accuracy"),
        ("probe", ["--probe", "filters"], "stem"),
    ],
)
def test_it_measures(
    command: str,
    options: list[str],
    shown: str,
    checkpoint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    table = tmp_path / "table.csv"
    how = [*SMALL, "--count", "20", "--csv", str(table)]
    command_line.main([command, checkpoint, *how, *options])
    assert shown in capsys.readouterr().out
    assert len(pd.read_csv(table)) > 1


def test_it_writes_a_report(checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    how = [
        "--suite",
        "quick",
        "--epsilons",
        "4",
        "--probe",
        "filters",
        "--condition",
        "corruption/contrast/3",
    ]
    command_line.main(["report", checkpoint, *SMALL, "--count", "20", *how, "--out", str(tmp_path / "out")])
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "robustness.pdf")
    assert "digits at 32 pixels" in (tmp_path / "out" / "robustness.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "hub:net", *SMALL], "names no weights"),
        (["evaluate", "CHECKPOINT", "--set", "digit", "--size", "32"], "did you mean"),
        (
            ["evaluate", "CHECKPOINT", *SMALL, "--condition", "fog"],
            "shift/factor/level",
        ),
        (
            ["probe", "CHECKPOINT", *SMALL, "--probe", "filter"],
            "did you mean filters",
        ),
        (["attack", "CHECKPOINT", *SMALL, "--suite", "best"], "best"),
        (["report", "CHECKPOINT", "CHECKPOINT", *SMALL], "two models would be called weights"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], message: str, checkpoint: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main([checkpoint if each == "CHECKPOINT" else each for each in arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of profiles beside a folder of images and a module with a network."""
    (tmp_path / "profiles").mkdir()
    base = tmp_path / "profiles" / "photos.yaml"
    base.write_text(new_profile.BASE.read_text())
    monkeypatch.setattr(new_profile, "BASE", base)
    for kind in ("cat", "dog"):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        Image.new("RGB", (40, 40), "red").save(tmp_path / "photos" / kind / "1.png")
    (tmp_path / "own_profile_net.py").write_text("def build():\n    raise ValueError\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return base.parent


def test_a_new_profile_is_valid(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([str(profiles.parent / "photos"), "timm:resnet50.tv_in1k python:own_profile_net:build"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    command_line.main(["new-profile", "mine", "--size", "64"])
    settings = check(profiles / "mine.yaml")
    assert list(settings.models) == ["resnet50", "own_profile_net"]
    assert "20 photographs" not in (profiles / "mine.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "folder", "weights", "message"),
    [
        ("photos", "photos", "timm:resnet50", "is there already"),
        ("Mine", "photos", "timm:resnet50", "use lower-case letters"),
        ("mine", "nowhere", "timm:resnet50", "no such folder"),
        ("mine", "photos", "hub:resnet50", "names no weights"),
        ("mine", "photos", "timm:resnet50 torchvision:resnet50", "two models would be called resnet50"),
    ],
)
def test_a_wrong_new_profile_leaves_nothing(
    name: str, folder: str, weights: str, message: str, profiles: Path, capsys: pytest.CaptureFixture
) -> None:
    before = sorted(profiles.iterdir())
    with pytest.raises(SystemExit) as ended:
        command_line.main(
            ["new-profile", name, "--path", str(profiles.parent / folder), "--models", *weights.split()]
        )
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert sorted(profiles.iterdir()) == before
