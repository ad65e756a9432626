"""Bad input: exit status 2, one line that names what is wrong and says what to do, nothing half-written."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from settings_change import changed
from tiny_run import (
    BOX,
    CATALOGUE_FILE,
    ORDER,
    PARAMS,
    run_stage,
    write_class_list,
    write_library,
    write_params,
)

from pipeline import files, reproduce, stage
from pipeline.fetch_objects import fetch_objects
from pipeline.params import load
from robustness.data import library_fetch
from robustness.data.model_library import CATALOGUE

ROOT = Path(__file__).resolve().parents[1]
Spoil = Callable[[], None]
Check = Callable[[Callable[[], None]], str]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run, from library to collated tables."""
    folder = tmp_path_factory.mktemp("run")
    write_params(folder)
    write_library(folder / "data" / "library")
    class_list = write_class_list(folder / "classes.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(files, "CLASS_LIST", class_list)
        for name in ORDER:
            run_stage(name)
    return folder


@pytest.fixture
def run(whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished run to spoil; the current folder."""
    folder = tmp_path / "run"
    shutil.copytree(whole_run, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(files, "CLASS_LIST", folder / "classes.csv")
    monkeypatch.setattr(files, "DOWNLOADS", folder / "cache")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files but those of work in hand: under names that nothing reads, or finished parts of a stage."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {"work", ".images-parts"} & set(path.parts)
    }


def refused(do: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which it is refused; whatever it does, no file changes."""
    folder = Path.cwd()
    before = contents(folder)
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        stage.guard(do)
    assert end.value.code == 2
    told = capsys.readouterr().err
    lines = [line for line in told.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, told
    assert "Traceback" not in told
    assert contents(folder) == before
    return lines[0]


# --- params.yaml: (path in the tree, value; ... removes the key) → words of the line.
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
        ("models", {"plain": {"architecture": "alexnet"}}),
        ("models.plain", "image_size is 32", "from"),
    ),
    "id that YAML reads as a number": (
        ("models", {1: PARAMS["models"]["plain"]}),
        ("models", "id 1", "quote"),
    ),
    "id that YAML reads as nothing": (("models", {None: PARAMS["models"]["plain"]}), ("id None", "quote")),
    "id with a dot": (("models", {"a.b": PARAMS["models"]["plain"]}), ("a.b", "no model id", "lower-case")),
    "id that DVC reads as a number": (("models", {"1e3": PARAMS["models"]["plain"]}), ("1e3", "no model id")),
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
        ("data", "render", "factors", {"viewpoint/azimuth": [[1]]}),
        ("azimuth", "[1]"),
    ),
    "rendered factor": (("data", "render", "factors", {"viewpoint/azimut": [1]}), ("azimut", "did you mean")),
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
        ("attack", "norms", "linf", "attacks", {"pgd": {"steps": 0}}),
        ("attack.norms.linf.attacks", "pgd", "steps is 0", "from 1"),
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
    line = refused(load, capsys)
    assert all(word in line for word in ("params.yaml", *words)), line


TEXTS: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "no such file; run in the folder"),
    "empty": (b"", "must hold a mapping"),
    "not text": (b"\xff\xfe\x00", "UTF-8"),
    "zero bytes": (b"\0\0", "not valid YAML"),
    "tab": (b"seed: 1\n\tdevice: cpu\n", "not valid YAML"),
    "code": (b"seed: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    "key twice": (b"seed: 1\nseed: 2\n", "stands twice"),
    "key that is a list": (b"? [1]\n: 2\n", "a key is no text"),
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
    line = refused(load, capsys)
    assert "params.yaml" in line
    assert words in line


# --- Files of a run: what is spoiled, the stage that meets it → words of its line.
IMAGES, WEIGHTS = Path("data/images"), Path("data/models/plain/weights.safetensors")


def cut(path: Path | str, keep: float = 0.5) -> Spoil:
    def spoil() -> None:
        data = Path(path).read_bytes()
        Path(path).write_bytes(data[: int(len(data) * keep)])

    return spoil


def remove(path: Path | str) -> Spoil:
    return lambda: shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


def write(path: Path | str, data: bytes) -> Spoil:
    return lambda: Path(path).write_bytes(data) and None


def samples(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Spoil:
    def spoil() -> None:
        path = IMAGES / "samples.parquet"
        change(pd.read_parquet(path)).to_parquet(path)

    return spoil


def array(name: str, make: Callable[[], np.ndarray]) -> Spoil:
    return lambda: np.save(IMAGES / name, make(), allow_pickle=True)


def no_images() -> None:
    samples(lambda table: table.iloc[:0])()
    array("images.npy", lambda: np.zeros((0, 32, 32, 3), np.uint8))()
    array("masks.npy", lambda: np.zeros((0, 32, 32), np.uint8))()


def header(change: Callable[[dict], object]) -> Spoil:
    """The same weights under another header."""

    def spoil() -> None:
        from safetensors import safe_open

        with safe_open(str(WEIGHTS), framework="pt") as handle:
            ((key, text),) = handle.metadata().items()
        state = load_file(str(WEIGHTS))
        save_file(state, str(WEIGHTS), metadata={key: json.dumps(change(json.loads(text)))})

    return spoil


def weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Spoil:
    def spoil() -> None:
        from safetensors import safe_open

        with safe_open(str(WEIGHTS), framework="pt") as handle:
            metadata = handle.metadata()
        save_file(change(load_file(str(WEIGHTS))), str(WEIGHTS), metadata=metadata)

    return spoil


class Bomb:
    """Unpickled, it would leave a mark."""

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("code_was_run"),))


def zipped(name: str, content: bytes | str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def library(**replaced: str | bytes | None) -> Spoil:
    return lambda: write_library(Path("data/library"), **replaced) and None


def claims(size: int) -> Spoil:
    """A model whose entry in the archive says that it unpacks to ``size`` bytes."""

    def spoil() -> None:
        path = Path("data/library") / CATALOGUE_FILE
        data = bytearray(path.read_bytes())
        at = data.rindex(b"chair_train/chair_train.obj") - 46 + 24  # the central directory's entry
        data[at : at + 4] = struct.pack("<I", size)
        path.write_bytes(data)

    return spoil


def leaves_its_folder() -> None:
    path = Path("data/library") / CATALOGUE_FILE
    with zipfile.ZipFile(path) as archive:
        text = archive.read(CATALOGUE).decode()
    library(catalogue=text.replace("/chair_train/chair_train.obj", "/../../outside.obj"))()


def classes(change: Callable[[str], str]) -> Spoil:
    return lambda: Path("classes.csv").write_text(change(Path("classes.csv").read_text())) and None


MANY_FACES = BOX + "f " + "1 " * 4_000_001 + "\n"
FOUND = "data/results/plain"
DAMAGED: dict[str, tuple[Spoil, str, tuple[str, ...]]] = {
    # The library and its meshes: a class without an object left cannot be rendered.
    "no library": (remove("data/library"), "render", ("data/library", "no .sh3f file", "fetch")),
    "archive cut short": (
        cut(f"data/library/{CATALOGUE_FILE}"),
        "render",
        (CATALOGUE_FILE, "damaged", "fetch"),
    ),
    "archive that is none": (
        write(f"data/library/{CATALOGUE_FILE}", b"x" * 99),
        "render",
        ("damaged", "fetch"),
    ),
    "no catalogue": (library(catalogue=""), "render", (CATALOGUE_FILE, "lists no models", "fetch")),
    "path out of the archive": (leaves_its_folder, "render", ("leaves the archive", CATALOGUE_FILE)),
    "zip bomb": (claims(3 << 30), "render", ("'chair'", "claims", "3221225472")),
    "zip that lies": (claims(10), "render", ("'chair'", "chair_train.obj", "damaged")),
    "bomb of spaces": (library(chair_train=" " * (65 << 20)), "render", ("'chair'", "claims")),
    "mesh that is missing": (library(chair_train=None), "render", ("'chair'", "chair_train.obj is not in")),
    "no faces": (library(chair_train="v 0 0 0\n"), "render", ("'chair'", "Small/chair_train", "no faces")),
    "not a number": (library(chair_train="v nan 0 0\n" + BOX), "render", ("'chair'", "not a finite number")),
    "a billion faces": (library(chair_train=MANY_FACES), "render", ("'chair'", "claims", "face corners")),
    "index of a billion": (
        library(chair_train=BOX + "f 1 2 999999999\n"),
        "render",
        ("'chair'", "not there"),
    ),
    "index beyond 64 bits": (
        library(chair_train=BOX + f"f 1 2 {10**30}\n"),
        "render",
        ("'chair'", "Small/chair"),
    ),
    "flat to a point": (library(chair_train="v 0 0 0\n" * 3 + "f 1 2 3\n"), "render", ("'chair'", "size")),
    "no class list": (remove("classes.csv"), "render", ("classes.csv", "cannot be read")),
    "class list without a column": (
        classes(lambda t: t.replace("split", "part")),
        "render",
        ("no column 'split'",),
    ),
    "wrong class": (
        classes(lambda t: t.replace(",sofa,", ",sofas,")),
        "render",
        ("line 5", "did you mean sofa"),
    ),
    "class without objects": (
        classes(lambda t: "".join(line + "\n" for line in t.splitlines() if ",bed,test" not in line)),
        "render",
        ("classes.csv", "'bed'", "split 'test'"),
    ),
    "model twice": (classes(lambda t: t + t.splitlines()[1] + "\n"), "render", ("listed twice",)),
    # The image set.
    "no images": (remove(IMAGES), "train", ("data/images", "images.npy is missing", "make the set again")),
    "images cut short": (
        cut(IMAGES / "images.npy"),
        "train",
        ("data/images", "damaged", "make the set again"),
    ),
    "images that are code": (
        array("images.npy", lambda: np.array([Bomb()], dtype=object)),
        "train",
        ("data/images", "damaged"),
    ),
    "table cut short": (cut(IMAGES / "samples.parquet"), "evaluate", ("data/images", "damaged")),
    "classes cut short": (cut(IMAGES / "classes.json"), "train", ("data/images", "damaged")),
    "empty set": (no_images, "train", ("data/images", "holds no images", "make the set again")),
    "label out of range": (samples(lambda t: t.assign(label=t["label"] + 5)), "train", ("label", "0 to 9")),
    "label as text": (samples(lambda t: t.assign(label="chair")), "train", ("label", "whole numbers")),
    "no training images": (
        samples(lambda t: t.assign(split="test", role="test")),
        "train",
        ("no canonical training images",),
    ),
    "no clean test images": (
        samples(lambda t: t.assign(shift="viewpoint")),
        "evaluate",
        ("no clean test images", "again"),
    ),
    "masks of another size": (
        array("masks.npy", lambda: np.zeros((1, 2, 2), np.uint8)),
        "evaluate",
        ("masks", "do not fit"),
    ),
    # Checkpoints.
    "no checkpoint": (
        remove(WEIGHTS),
        "evaluate",
        (str(WEIGHTS), "no such checkpoint", "run the train stage"),
    ),
    "checkpoint cut short": (cut(WEIGHTS), "evaluate", (str(WEIGHTS), "train the model again")),
    "empty checkpoint": (write(WEIGHTS, b""), "attack", (str(WEIGHTS), "train the model again")),
    "pickled code": (
        write(WEIGHTS, pickle.dumps(Bomb())),
        "probe",
        (str(WEIGHTS), "not a readable safetensors"),
    ),
    "pickled code in a zip": (
        write(WEIGHTS, zipped("archive/data.pkl", pickle.dumps(Bomb()))),
        "attack",
        (str(WEIGHTS), "safetensors"),
    ),
    "checkpoint of another project": (
        lambda: save_file({"a": torch.zeros(1)}, str(WEIGHTS)),
        "evaluate",
        (str(WEIGHTS), "this project"),
    ),
    "header without a model": (
        header(lambda h: {}),
        "evaluate",
        (str(WEIGHTS), "header", "train the model again"),
    ),
    "header of another kind": (
        header(lambda h: [1]),
        "collate",
        (str(WEIGHTS), "header", "train the model again"),
    ),
    "checkpoint of other settings": (
        header(lambda h: h | {"spec": h["spec"] | {"seed": 4}}),
        "evaluate",
        ("seed", "another configuration"),
    ),
    "wrong shapes": (
        weights(lambda s: {k: v.reshape(-1) for k, v in s.items()}),
        "evaluate",
        (str(WEIGHTS), "do not fit lenet5"),
    ),
    "weights missing": (
        weights(lambda s: dict(list(s.items())[1:])),
        "attack",
        (str(WEIGHTS), "do not fit lenet5"),
    ),
    "weights that are no numbers": (
        weights(lambda s: {k: v * float("nan") for k, v in s.items()}),
        "attack",
        ("NaN",),
    ),
    # Tables and arrays of earlier stages.
    "no predictions": (
        remove(f"{FOUND}/predictions.parquet"),
        "collate",
        ("predictions.parquet", "dvc repro"),
    ),
    "table damaged": (cut(f"{FOUND}/attack/attacks.parquet"), "collate", ("attacks.parquet", "dvc repro")),
    "noise table damaged": (
        write("data/results/noisy/attack/noise.parquet", b"PAR1"),
        "collate",
        ("noise.parquet", "dvc repro"),
    ),
    "no adversarial images": (remove(f"{FOUND}/attack/images.npz"), "transfer", ("images.npz", "dvc repro")),
    "adversarial images damaged": (
        cut(f"{FOUND}/attack/images.npz"),
        "transfer",
        ("images.npz", "dvc repro"),
    ),
    "adversarial images of another budget": (
        lambda: np.savez(f"{FOUND}/attack/images.npz", rows=np.arange(4)),
        "transfer",
        ("images.npz", "dvc repro"),
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files(case: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, name, words = DAMAGED[case]
    spoil()
    line = refused(lambda: run_stage(name), capsys)
    assert all(word in line for word in words), line
    assert not Path("code_was_run").exists()


# --- The disk, the network and git refuse.
def full_disk(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "replace", refuse)


def read_only(patch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    patch.setattr(Path, "mkdir", refuse)


@pytest.mark.parametrize("trouble", [full_disk, read_only])
@pytest.mark.parametrize("name", ORDER)
def test_a_disk_that_refuses(
    name: str, trouble, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        trouble(patch)
        line = refused(lambda: run_stage(name), capsys)
    assert "free space or rights" in line
    assert "No space left" in line or "Permission denied" in line


def test_an_image_set_takes_its_place_before_it_is_written(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mapped files are sparse: written on a full disk, they would end the process by a signal."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert "No space left" in refused(lambda: run_stage("render"), capsys)
    assert not [
        path
        for path in Path("data").iterdir()
        if path.name.startswith(".images-") and "parts" not in path.name
    ]


def fetch() -> None:
    fetch_objects(load())


def test_no_network(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data/library")
    monkeypatch.setattr(library_fetch, "INSTALLED", run / "not there")
    monkeypatch.setattr(library_fetch, "_run_apt", lambda *_: "E: Could not resolve the host")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    line = refused(fetch, capsys)
    assert "Could not resolve" in line
    assert "three ways" in line
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "no apt-get" in refused(fetch, capsys)


@pytest.mark.parametrize("kind", ["missing", "file", "cut short"])
def test_a_named_library_that_is_wrong(kind: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data/library")
    named = run / "named"
    if kind == "file":
        named.write_text("")
    elif kind == "cut short":
        named.mkdir()
        for name in library_fetch.FILES:
            (named / name).write_bytes(b"PK")
    write_params(run, PARAMS | {"data": PARAMS["data"] | {"library": str(named)}})
    line = refused(fetch, capsys)
    assert str(named) in line
    assert "three ways" in line


@pytest.mark.parametrize("lacks", [".dvc", ".git"])
def test_a_copy_without_git(
    lacks: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in {".dvc", ".git"} - {lacks}:
        Path(name).mkdir()
    monkeypatch.setattr(files, "SOURCE", run)
    monkeypatch.setattr(sys, "argv", ["reproduce"])
    with pytest.raises(SystemExit) as end:
        reproduce.main()
    assert end.value.code == 2
    assert (
        capsys.readouterr().err
        == f"error: {lacks}: missing; clone the repository with git instead of copying files\n"
    )


def test_results_name_their_commit_where_there_is_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(run))
    assert files.surroundings()["git_commit"] == "unknown"


# --- The same as a user meets it: processes.
def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip


def test_the_exit_status_of_a_process(run: Path) -> None:
    done = process("-m", "pipeline.train", "--model", "plane")
    assert (done.returncode, done.stderr) == (
        2, "error: params.yaml: models has no 'plane'; did you mean plain?\n")  # fmt: skip


def test_a_process_whose_disk_is_full(run: Path) -> None:
    """A limit on the size of files makes every real write fail half-way."""
    before = contents(run)
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        "sys.argv = ['train', '--model', 'plain'];"
        "import runpy; runpy.run_module('pipeline.train', run_name='__main__')"
    )
    done = process("-c", limited)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "state.partial" in line
    assert "File too large; free space or rights" in line
    assert contents(run) == before
