"""Wrong settings: refused before any work, in one line that names the key, the value and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from settings_change import changed
from spoiling import refused
from tiny_run import PARAMS, write_params

from pipeline.check import check

# (path in the tree, value; ... removes the key) → words of the line.
PLAIN = ("models", "plain")
SETTINGS: dict[str, tuple[tuple, tuple[str, ...]]] = {
    "no seed": (("seed", ...), ("seed", "missing", "add it")),
    "unknown section": (("modles", {}), ("modles", "did you mean models")),
    "flag for a count": (("training", "epochs", True), ("training.epochs", "True")),
    "rate that is no number": (("training", "learning_rate", float("nan")), ("learning_rate", "nan")),
    "endless decay": (("training", "weight_decay", float("inf")), ("weight_decay", "inf")),
    "seed too large": (("seed", 2**31), ("seed", "2147483648")),
    "no threads": (("threads", 0), ("threads", "greater than or equal to 1")),
    "device of another kind": (("device", "mps"), ("device", "auto, cpu, cuda")),
    "device that is not there": (("device", "cuda:77"), ("device", "cuda:77", "use auto or cpu")),
    "library as a number": (("data", "library", 3), ("data.library", "string")),
    "no workers": (("data", "workers", 0), ("data.workers", "0")),
    "image too small for a model": (
        ("models", {"plain": {"family": "alexnet", "frontend": "learned"}}),
        ("models.plain", "image_size is 32", "from"),
    ),
    "id that YAML reads as a number": (
        ("models", {1: PARAMS["models"]["plain"]}),
        ("models", "id 1", "quote"),
    ),
    "id that YAML reads as nothing": (("models", {None: PARAMS["models"]["plain"]}), ("id None", "quote")),
    "id with a dot": (("models", {"a.b": PARAMS["models"]["plain"]}), ("a.b", "no model id", "lower-case")),
    "ids that DVC reads as one number": (
        ("models", {"1e3": PARAMS["models"]["plain"], "1e+3": PARAMS["models"]["noisy"]}),
        ("a key stands twice",),
    ),
    "ids that differ by case alone": (
        ("models", {"a": PARAMS["models"]["plain"], "A": PARAMS["models"]["noisy"]}),
        ("'A'", "no model id", "lower-case"),
    ),
    "endless id": (("models", {"a" * 300: PARAMS["models"]["plain"]}), ("no model id", "64 at most")),
    "model without settings": ((*PLAIN, None), ("models.plain", "None")),
    "model without architecture": ((*PLAIN, {}), ("models.plain.architecture", "missing")),
    "option of the architecture": ((*PLAIN, "options", {"dropuot": 1}), ("models.plain.options", "dropuot")),
    "width of dust": ((*PLAIN, "width", 0.001), ("models.plain", "0.001", "allowed")),
    "recipe's value": ((*PLAIN, "recipe", {"epochs": "x"}), ("models.plain.recipe.epochs", "'x'")),
    "front-end's kind": (("frontend", {"simple_channels": "many"}), ("simple_channels", "integer", "'many'")),
    "front-end's number": (("frontend", {"gain": float("nan")}), ("frontend", "gain", "finite")),
    "front-end's kernel": (("frontend", {"kernel_size": 24}), ("kernel_size", "24", "odd")),
    "diverse, never rendered": (
        (*PLAIN, "training", "diverse"),
        ("data.render.training", "models.plain", "add"),
    ),
    "rendered key": (("data", "render", "trainin", 3), ("data.render", "trainin", "did you mean training")),
    "rendered level in a list": (
        ("data", "render", "factors", {"pose/azimuth": [[1]]}),
        ("azimuth", "[1]"),
    ),
    "rendered factor": (("data", "render", "factors", {"pose/azimut": [1]}), ("azimut", "did you mean")),
    "no test scenes": (("data", "render", "test_scenes", 0), ("data.render.test_scenes", "0")),
    "level twice": (
        ("evaluation", "conditions", {"corruption": {"contrast": [1, 1]}}),
        ("evaluation.conditions.corruption.contrast", "1 stands twice", "leave one out"),
    ),
    "level of nothing": (
        ("evaluation", "conditions", {"corruption": {"contrast": [None]}}),
        ("evaluation.conditions.corruption.contrast", "None"),
    ),
    "no norms": (("attack", "norms", {}), ("attack.norms", "at least 1")),
    "budget beyond white": (("attack", "norms", "linf", "epsilons", [300]), ("epsilons", "300", "up to 255")),
    "flag for a budget": (("attack", "norms", "linf", "epsilons", [True]), ("epsilons", "True")),
    "attack without steps": (
        ("attack", "norms", "linf", "suite", [{"pgd": {"steps": 0}}]),
        ("attack.norms.linf.suite", "pgd", "steps is 0", "from 1"),
    ),
    "checks of less than nothing": (
        ("attack", "checks", {"samples": -1}),
        ("attack.checks.samples", "-1", "use"),
    ),
    "no probes": (("probe", "probes", {}), ("probe.probes", "at least 1")),
    "probe's count as text": (
        ("probe", "probes", {"occlusion": {"count": "three"}}),
        ("probe.probes.occlusion", "count", "integer", "'three'"),
    ),
    "probe's count below nothing": (
        ("probe", "probes", {"occlusion": {"count": -3}}),
        ("probe.probes.occlusion", "count", "-3", "from 0"),
    ),
    "condition placed twice": (
        ("probe", "placed", ["attack/4"] * 2),
        ("probe.placed", "twice", "leave one out"),
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, words = SETTINGS[case]
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, changed(PARAMS, *change))
    line = refused(lambda: check(Path("params.yaml")), capsys)
    assert all(word in line for word in ("params.yaml", *words)), line


TEXTS: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "no such file; run in the folder"),
    "empty": (b"", "must hold a mapping"),
    "not text": (b"\xff\xfe\x00", "UTF-8"),
    "zero bytes": (b"\0\0", "not valid YAML"),
    "tab": (b"seed: 1\n\tdevice: cpu\n", "not valid YAML"),
    "code": (b"seed: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    "key twice": (b"seed: 1\nseed: 2\n", "stands twice"),
    "id twice": (b"models:\n  a: {architecture: lenet5}\n  a: {architecture: alexnet}\n", "stands twice"),
    "key that is a list": (b"? [1]\n: 2\n", "unknown key"),
    "date that is none": (b"seed: 2026-99-99\n", "put it in quotes"),
    "endless number": (b"seed: " + b"9" * 6000, "put it in quotes"),
    "nested without end": (b"[" * 5000, "nested too deeply"),
    "holds itself": (b"seed: &a [*a]\n", "aliases"),
    "a billion laughs": (
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (b, b, b",".join([b"*%c" % (b - 1)] * 9)) for b in range(98, 110)),
        "aliases",
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_files_that_are_no_settings(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, words = TEXTS[case]
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "params.yaml").write_bytes(text)
    line = refused(lambda: check(Path("params.yaml")), capsys)
    assert "params.yaml" in line
    assert words in line


def test_dvc_keeps_every_allowed_id_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that a reader of YAML might take for a flag, a number or nothing: DVC has a job for each."""
    from dvc.parsing import DataResolver
    from dvc.repo import Repo

    names = ("null", "true", "yes", "nan", "inf", "e3", "e03", "o7", "x10", "a", "a_", "a1", "a_1")
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, PARAMS | {"models": dict.fromkeys(names, PARAMS["models"]["plain"])})
    assert tuple(check(Path("params.yaml")).models) == names
    job = {
        "matrix": {"model": "${models}"},
        "cmd": "train ${item.model}",
        "params": ["models.${item.model}"],
    }
    with Repo.init(no_scm=True) as repo:
        found = DataResolver(repo, tmp_path, {"stages": {"train": job}}).resolve()["stages"]
    assert {name: (job["cmd"], job["params"]) for name, job in found.items()} == {
        f"train@{name}": (f"train {name}", [f"models.{name}"]) for name in names
    }
