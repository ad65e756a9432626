"""A model is one (architecture, front-end, training) with its weights: built, saved and loaded here.

Normalisation is the first layer of every model, so that images are in [0, 1] everywhere outside.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from robustness import architectures, frontends
from robustness.errors import UserError, at, nearest
from robustness.seeds import derive
from robustness.settings import Settings, check_types, short

_FORMAT = "robustness-classifier-1"
TRAIN = "train"
"""What ``weights`` says of a model that is trained here."""


# A letter first: `1e3` is a number to YAML, the same as `1000`.
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")


def check_id(name: object) -> None:
    """Raises UserError for what is no id of a model: it names folders, MLflow runs and figures."""
    if not isinstance(name, str):
        raise UserError(f"the id {name!r} is read as {type(name).__name__}, not as text; quote it")
    if not _ID.fullmatch(name):
        raise UserError(
            f"{short(name)} is no model id: use lower-case letters, digits and _, a letter first, 64 at most"
        )


class ModelSettings(Settings):
    """One model: architecture, front-end, training, and what its family needs other than all models.

    ``family``: the file in ``robustness/architectures`` that holds the architecture, whose name may be left
    out where it is the same. ``recipe`` and ``frontend_options`` change those of all models. ``seed``, of a
    replicate, decides its weights, its front-end and the order of its images. ``weights``: ``train``, or
    pretrained weights (``robustness.weights``), which come with their architecture, except ``file:``;
    ``sha256`` is that of the file; ``builder`` (``weights.user_network.Builder``) says how a network of the
    user's own is built; ``fine_tune`` (``weights.FineTune``) trains stages of these, which without
    it are used as they are.
    """

    family: str | None = None
    architecture: str | None = None
    weights: str = TRAIN
    sha256: str | None = None
    builder: dict[str, Any] | None = None
    fine_tune: dict[str, Any] | None = None
    frontend: str = "learned"
    training: Literal["canonical", "diverse", "adversarial"] = "canonical"
    width: float = Field(default=1.0, gt=0, le=8)
    options: dict[str, Any] = Field(default={})
    frontend_options: dict[str, Any] = Field(default={})
    recipe: dict[str, Any] = Field(default={})
    seed: int | None = Field(default=None, ge=0, lt=2**31)

    @model_validator(mode="before")
    @classmethod
    def _named_as_its_family(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("weights", TRAIN) == TRAIN and "family" in values:
            return {"architecture": values["family"]} | values
        return values

    def check(self) -> None:
        if self.weights != TRAIN:  # robustness.weights knows what these bear
            return
        if self.fine_tune is not None:
            raise UserError("belongs to pretrained weights; what is trained here has its recipe", "fine_tune")
        if self.builder is not None:
            raise UserError("goes with weights python:<module>:<callable>; leave it out", "builder")
        if self.architecture is None:
            raise UserError("is missing; name one, or weights that bring it along", "architecture")
        for key, known in (("architecture", architectures.names()), ("frontend", frontends.names())):
            value = getattr(self, key)
            if value not in known:
                raise UserError(f"unknown {value!r}; {nearest(value, known)}", key)
        entry = architectures.get(self.architecture)
        if self.family != entry.module:
            wrong = "is missing" if self.family is None else f"{self.family!r} is another file"
            raise UserError(f"{wrong}; {entry.name} is of the family {entry.module}", "family")
        with at("options", strip=f"{entry.name}: "):
            entry.complete(self.options)

    def check_size(self, image_size: int) -> None:
        """Raises UserError if the architecture does not bear images of that size, or its width."""
        if self.weights == TRAIN:
            with at("", strip=f"{self.architecture}: "):
                # Classes and channels are the image set's own; the smallest numbers stand for them here.
                architectures.get(self.architecture).check(
                    num_classes=2,
                    in_channels=1,
                    image_size=image_size,
                    width=self.width,
                    options=self.options,
                )

    def all_frontend_options(self, common: Mapping[str, Any]) -> dict[str, Any]:
        """The front-end's options, ``common`` ones included; none for weights' own stem."""
        own_stem = self.weights != TRAIN and self.frontend == "learned"
        return {} if own_stem else {**common, **self.frontend_options}

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """What it changes of the recipe of all models, a fine-tuning's numbers last."""
        tuned = {
            key: value for key, value in (self.fine_tune or {}).items() if key in ("epochs", "learning_rate")
        }
        return self.recipe | tuned

    def seed_or(self, seed: int) -> int:
        """Its own seed, else the given one."""
        return seed if self.seed is None else self.seed

    def spec(self, num_classes: int, image_size: int, frontend: Mapping[str, Any], seed: int) -> ModelSpec:
        """What decides its function on an image set; ``frontend`` are the options of all front-ends."""
        return ModelSpec(
            architecture=self.architecture,
            frontend=self.frontend,
            training=self.training,
            num_classes=num_classes,
            image_size=image_size,
            seed=self.seed_or(seed),
            width=self.width,
            options=self.options,
            frontend_options=self.all_frontend_options(frontend),
        )


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
            architectures.get(spec.architecture).as_built(spec.options),
            spec.frontend,
            image_size=spec.image_size,
            mean=spec.mean,
            std=spec.std,
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
    check_types(options, frontends.FrontendOptions)
    return frontends.FrontendOptions(**options)


def count_parameters(model: nn.Module) -> int:
    """The number of parameters, frozen ones included, buffers not."""
    return sum(parameter.numel() for parameter in model.parameters())


def multiply_adds(model: Classifier) -> int:
    """Multiplications with an addition that one image takes, as the network computes it here.

    Convolutions and matrix products, and a Fourier transform of n values at 2.5·n·log₂n (half the usual count
    of its operations). What is done element by element is not counted.
    """
    from torch.utils.flop_counter import FlopCounterMode

    transforms = {torch.ops.aten._fft_c2c: _of_a_transform, torch.ops.aten._fft_r2c: _of_a_transform}
    size = model.spec.image_size
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=transforms) as counter:
        model(torch.full((1, 3, size, size), 0.5, device=next(model.parameters()).device))
    return counter.get_total_flops() // 2


def _of_a_transform(shape: Sequence[int], axes: Sequence[int], *_: object, **__: object) -> int:
    return round(5 * math.prod(shape) * math.log2(math.prod(shape[axis] for axis in axes)))


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
    try:
        content = json.loads(header[_FORMAT])
        spec = content["spec"] | {key: tuple(content["spec"][key]) for key in ("mean", "std")}
        return ModelSpec(**spec), dict(content["notes"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its header does not describe a model ({error!r}); train the model again"
        ) from error


def load(path: Path) -> Classifier:
    """Read a model; no code in the file is executed. Raises UserError if its weights do not fit its spec."""
    from safetensors.torch import load_file

    spec, _ = read_header(path)
    model = build(spec)
    try:
        model.load_state_dict(load_file(str(path)))
    except RuntimeError as error:
        raise UserError(f"{path}: weights do not fit {spec.architecture} ({str(error)[:200]})") from error
    return model.eval()


def table_row(model: Classifier, path: Path) -> dict[str, object]:
    """What the table ``models`` says of a model (its name apart), read from its checkpoint."""
    spec, notes = read_header(path)
    return {
        "architecture": spec.architecture,
        "frontend": spec.frontend,
        "training": spec.training,
        "width": spec.width,
        "seed": spec.seed,
        "parameters": count_parameters(model),
        "multiply_adds": multiply_adds(model),
        "images": notes["images"],
        "epochs": notes["recipe"]["epochs"],
        "attack_steps": notes["recipe"]["adversarial_steps"] if spec.training == "adversarial" else 0,
        "weights": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
