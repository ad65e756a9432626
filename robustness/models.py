"""A model is one (architecture, front-end, training) with its weights: built, saved and loaded here.

Normalisation is the first layer of every model, so that images are in [0, 1] everywhere outside.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustness import architectures, frontends
from robustness.errors import UserError
from robustness.seeds import derive

_FORMAT = "robustness-classifier-1"


@dataclass(frozen=True)
class ModelSpec:
    """What decides a model's function before training: all that :func:`build` needs.

    ``options`` goes to the architecture, ``frontend_options`` to the front-end (fields of
    ``frontends.FrontendOptions``). ``mean`` and ``std`` are of the training images, a channel, in [0, 1].
    """

    architecture: str
    frontend: str
    training: str
    num_classes: int
    image_size: int
    seed: int
    width: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    frontend_options: dict[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)


class Normalise(nn.Module):
    """(x − mean) / std, a channel; x is (N, C, H, W) in [0, 1]."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Classifier(nn.Module):
    """Images (N, 3, H, W), float32 in [0, 1], to logits (N, classes).

    ``stages`` maps the canonical names (stem, early, middle, late, penultimate) to module paths in this
    module. Under ``frontends.draws(model, k)`` a stochastic model gives k·N rows, draw-major.
    """

    def __init__(self, spec: ModelSpec, network: nn.Module) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = Normalise(spec.mean, spec.std)
        self.network = network
        stages = architectures.get(spec.architecture).stages
        self.stages = {name: f"network.{path}" for name, path in stages.items()}

    def forward(self, x: Tensor) -> Tensor:
        return self.network(self.normalise(x))


def build(spec: ModelSpec) -> Classifier:
    """A model with fresh weights, drawn from ``spec.seed``; the caller's random state is left alone.

    Raises UserError for an unknown architecture, front-end or option, and for an image size or a width
    that the architecture does not bear.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(spec.seed, "weights", spec.architecture, spec.frontend, spec.training))
        network = architectures.build(
            spec.architecture,
            num_classes=spec.num_classes,
            in_channels=len(spec.mean),
            image_size=spec.image_size,
            width=spec.width,
            **spec.options,
        )
        network = frontends.install(
            network,
            architectures.get(spec.architecture),
            spec.frontend,
            image_size=spec.image_size,
            in_channels=len(spec.mean),
            seed=spec.seed,
            options=frontend_options(spec.frontend_options),
        )
    return Classifier(spec, network).eval()


def frontend_options(options: dict[str, Any]) -> frontends.FrontendOptions:
    """The front-end's options from a mapping; raises UserError that names an unknown key."""
    known = frontends.FrontendOptions.__dataclass_fields__
    for key in options:
        if key not in known:
            raise UserError(f"frontend_options: unknown key {key!r}; known are {', '.join(sorted(known))}")
    return frontends.FrontendOptions(**options)


def count_parameters(model: nn.Module) -> int:
    """The number of parameters, frozen ones included, buffers not."""
    return sum(parameter.numel() for parameter in model.parameters())


def save(model: Classifier, path: Path, notes: dict[str, Any] | None = None) -> None:
    """Write weights and spec as one safetensors file; ``notes`` (JSON-able) travel in its header."""
    from safetensors.torch import save_file

    # One entry only: safetensors writes several in an order that changes from run to run.
    header = json.dumps({"spec": asdict(model.spec), "notes": notes or {}}, sort_keys=True)
    state = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    save_file(state, str(path), metadata={_FORMAT: header})


def read_header(path: Path) -> tuple[ModelSpec, dict[str, Any]]:
    """Spec and notes of a saved model. Raises UserError if the file is no checkpoint of this project."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; run the train stage for this model first")
    try:
        with safe_open(str(path), framework="pt") as handle:
            header = handle.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: not a readable safetensors file ({error}); train the model again"
        ) from error
    if _FORMAT not in header:
        raise UserError(f"{path}: not a checkpoint of this project (no {_FORMAT!r} in its header)")
    content = json.loads(header[_FORMAT])
    spec = content["spec"] | {key: tuple(content["spec"][key]) for key in ("mean", "std")}
    return ModelSpec(**spec), content["notes"]


def load(path: Path, expected: dict[str, Any] | None = None) -> Classifier:
    """Read a model; no code in the file is executed.

    ``expected``: fields of the spec that must hold, e.g. those of params.yaml. Raises UserError that names
    the first field in which the checkpoint comes from another configuration.
    """
    from safetensors.torch import load_file

    spec, _ = read_header(path)
    for key, value in (expected or {}).items():
        if getattr(spec, key) != value:
            raise UserError(
                f"{path}: the checkpoint is from another configuration ({key} is {getattr(spec, key)!r} "
                f"there and {value!r} in the settings); train the model again"
            )
    model = build(spec)
    try:
        model.load_state_dict(load_file(str(path)))
    except RuntimeError as error:
        raise UserError(f"{path}: weights do not fit {spec.architecture} ({str(error)[:200]})") from error
    return model.eval()
