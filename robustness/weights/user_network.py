"""A network of the user's own: built by a callable that ``weights: "python:<module>:<callable>"`` names.

This is the one place where code runs that is not the project's, and only because the settings name it. A
checkpoint keeps the SHA-256 of that code and is not loaded with other code.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from robustness.architectures import STAGES
from robustness.architectures.registry import not_in_place
from robustness.errors import UserError, nearest
from robustness.settings import Settings
from robustness.weights import reading, stages

# Luminance of RGB (ITU-R BT.601), for networks of one channel.
_LUMINANCE = (0.299, 0.587, 0.114)
_OURS = ("robustness", "pipeline")


class Builder(Settings):
    """How the callable is called, and the input that its network takes.

    ``arguments``: its keywords. ``input_size``: pixels, the image set's where it is None. ``mean``, ``std``:
    a channel (one for a network of one channel), of images in [0, 1]. ``file``: its weights, else those that
    it has when it is built. ``stages``: module paths of the five canonical stages, else found by running it.
    """

    arguments: dict[str, Any] = Field(default={})
    input_size: int | None = Field(default=None, ge=8, le=4096)
    mean: list[float] = Field(default=[0.0, 0.0, 0.0])
    std: list[float] = Field(default=[1.0, 1.0, 1.0])
    file: str | None = None
    stages: dict[str, str] | None = None

    def check(self) -> None:
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean):
            raise UserError("mean and std need one number per channel, of 1 or 3 channels", "mean")
        if min(self.std) <= 0:
            raise UserError("must be above 0", "std")
        if self.stages is not None and set(self.stages) != set(STAGES):
            raise UserError(f"must name a module for each of {', '.join(STAGES)}", "stages")


class UserNetwork(nn.Module):
    """Images (N, 3, H, W), normalised, to logits (N, classes), whatever the network inside takes and gives.

    A network of one channel gets the luminance; of several outputs the first counts, of a mapping or an
    object ``logits``. ``classes``: how many it answers with, once :func:`around` has run it.
    """

    classes: int

    def __init__(self, inner: nn.Module, channels: int) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("luminance", torch.tensor(_LUMINANCE).view(1, 3, 1, 1), persistent=False)
        self.grey = channels == 1

    def forward(self, x: Tensor) -> Tensor:
        if self.grey and x.shape[1] == 3:
            x = (x * self.luminance).sum(1, keepdim=True)
        given = self.inner(x)
        if isinstance(given, (tuple, list)):
            given = given[0]
        elif isinstance(given, dict):
            given = given["logits"]
        return getattr(given, "logits", given)


def split(name: str) -> tuple[str, str]:
    """Module and callable of ``<module>:<callable>``; raises UserError for anything else."""
    module, colon, attribute = name.partition(":")
    if not colon or not attribute.isidentifier() or not all(map(str.isidentifier, module.split("."))):
        raise UserError(f"'python:{name}' is not python:<module>:<callable>, as python:mynet:build")
    return module, attribute


def source_file(name: str) -> Path:
    """The file of the module that ``<module>:<callable>`` names. Raises UserError if there is none."""
    module, _ = split(name)
    with _one_line(f"python:{name}", "cannot be imported"):
        try:
            found = find_spec(module)
        except ModuleNotFoundError:
            found = None
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise UserError(
            f"python:{name}: there is no Python module {module}; put its file into the project's folder, or "
            "install its package"
        )
    return Path(found.origin)


def code_digest(name: str) -> str:
    """SHA-256 (hexadecimal) of the module's file, of its package, and of what it imports from the folder that
    holds it; of an installed one (``site-packages``) not of what else is installed there."""
    file = source_file(name)
    module, _ = split(name)
    root = file.parents[module.count(".") + (file.name == "__init__.py")]
    package = root / module.split(".")[0]
    files = {file, *(package.rglob("*.py") if package.is_dir() else ())}
    if root.name not in ("site-packages", "dist-packages"):
        finder = ModuleFinder(path=[str(root)], excludes=list(_OURS))
        with _one_line(f"python:{name}", "cannot be read"):
            finder.import_hook(module)
        files |= {Path(found.__file__) for found in finder.modules.values() if found.__file__}
    digest = hashlib.sha256()
    for each in sorted(files):
        text = each.read_bytes()
        digest.update(f"{each.relative_to(root)} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def find(name: str) -> Any:
    """The callable; imports its module. Raises UserError in one line if that fails."""
    source_file(name)
    module, attribute = split(name)
    with _one_line(f"python:{name}", "cannot be imported"):
        loaded = importlib.import_module(module)
    if not callable(getattr(loaded, attribute, None)):
        known = [key for key, value in vars(loaded).items() if callable(value) and not key.startswith("_")]
        raise UserError(f"python:{name}: {module} has no callable {attribute!r}; {nearest(attribute, known)}")
    return getattr(loaded, attribute)


def build(name: str, builder: Builder, image_size: int, sha256: str | None = None) -> UserNetwork:
    """The network in evaluation mode, its weights from ``builder.file`` where it is given.

    Raises UserError in one line if the code cannot be run, gives no ``nn.Module``, does not answer images
    (N, channels, S, S) with logits (N, classes), or gives no gradient to its input.
    """
    call = find(name)
    with _one_line(f"python:{name}", "raised"):
        inner = call(**builder.arguments)
    return around(inner, f"python:{name}", builder, image_size, sha256)


def around(
    inner: nn.Module, name: str, builder: Builder, image_size: int, sha256: str | None = None
) -> UserNetwork:
    """The same around a network that is built already; ``name`` is what messages call it."""
    if not isinstance(inner, nn.Module):
        raise UserError(f"{name}: gave a {type(inner).__name__}; it must return a torch.nn.Module")
    not_in_place(inner)
    if builder.file is not None:
        state = reading.read_state(Path(builder.file).expanduser(), sha256)
        try:
            inner.load_state_dict(state)
        except RuntimeError as error:
            raise UserError(f"{builder.file}: does not fit {name} ({_brief(error)})") from None
    network = UserNetwork(inner, len(builder.mean)).eval()
    size = builder.input_size or image_size
    images = torch.zeros(2, 3, size, size, requires_grad=True)
    with _one_line(name, f"does not take images (N, {len(builder.mean)}, {size}, {size})"):
        logits = network(images)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 2 or logits.shape[1] < 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(f"{name}: is no classifier: 2 images give {shape}, not (2, classes)")
    if not logits.requires_grad:
        raise UserError(f"{name}: gives no gradient to its input; attacks and probes need one")
    network.classes = logits.shape[1]
    return network


def stages_of(network: UserNetwork, name: str, builder: Builder, size: int) -> dict[str, str]:
    """Canonical stage → module path, as named in the settings or found by running the network.

    Raises UserError for a module that is not there, that does not run exactly once or gives no map.
    """
    channels = len(builder.mean)
    if builder.stages is None:
        try:
            found = stages.find(network.inner, name, size, channels)
        except UserError as error:
            raise UserError(f"{error}; or name its stages (builder: stages:)") from None
        return {stage: f"inner.{path}" for stage, path in found.items()}
    calls = stages.record(network.inner, size, channels)
    for stage in STAGES:
        path = builder.stages[stage]
        shapes = [shape for called, shape in calls if called == path]
        ranks = (2, 4) if stage == "penultimate" else (4,)
        if len(shapes) != 1 or shapes[0] is None or len(shapes[0]) not in ranks:
            wrong = "is no module that runs" if not shapes else f"gives {shapes}, not one feature map"
            raise UserError(f"{name}: stages.{stage}: {path!r} {wrong}")
    return {stage: f"inner.{builder.stages[stage]}" for stage in STAGES}


@contextmanager
def _one_line(name: str, what: str) -> Iterator[None]:
    """Whatever the user's code raises, in one line with its type and the place in its file."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = "" if place is None else f", {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
        raise UserError(f"{name}: {what} ({type(error).__name__}: {_brief(error)}{where})") from error


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
