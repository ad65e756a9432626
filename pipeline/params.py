"""params.yaml as a frozen, typed object, read once at the edge; a wrong setting is refused in one line.

Settings that a library function validates itself (front-end, attacks, probes, rendering) are handed on as
they are and checked by ``library_settings`` before any work starts.
"""

from __future__ import annotations

import re
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline import library_settings
from pipeline.yaml_file import read_yaml
from robustness.data.photos.catalogue import ADAPTERS
from robustness.errors import UserError, nearest

if TYPE_CHECKING:
    from robustness.attacks import Setup
    from robustness.data.image_set import ImageSet
    from robustness.evaluation import ImageCondition
    from robustness.models import ModelSpec
    from robustness.weights import Source

# A letter first: `1e3` is text to this reader of YAML and a number to that of DVC, which would merge it
# with `1000`.
MODEL_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
LEARNING_CURVE = "learning_curve"


class Section(BaseModel):
    """A part of params.yaml: unknown keys are errors, values keep their types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataParams(Section):
    """The image set: ``objects`` (rendered 3-D models), ``digits``, or one that lies in the folder ``path``.

    ``reference`` (a folder that gives the clean images), ``mapping`` and ``policy`` belong to some sets only.
    """

    set: Literal["objects", "digits", *ADAPTERS]
    path: str | None = None
    reference: str | None = None
    mapping: str | None = None
    policy: str | None = None
    image_size: int = Field(ge=16, le=512)
    library: str | None = None
    workers: int = Field(default=2, ge=1, le=256)
    render: dict[str, Any] = {}


class TrainingParams(Section):
    """The recipe of all models; a model may override the numbers that its family needs."""

    batch_size: int = Field(ge=2, le=65536)
    epochs: int = Field(ge=1, le=10000)
    learning_rate: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=1)
    label_smoothing: float = Field(ge=0, lt=1)
    shift_pixels: int = Field(ge=0, le=64)
    mirror: bool = True
    zoom: float = Field(default=0.0, ge=0, le=4)
    colour: float = Field(default=0.0, ge=0, le=2)
    grey: float = Field(default=0.0, ge=0, le=1)
    erase: float = Field(default=0.0, ge=0, le=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    adversarial_epsilon: float = Field(default=4.0, ge=0, le=255)
    adversarial_steps: int = Field(default=1, ge=1, le=100)


class FineTuneParams(Section):
    """A short training of some stages of weights from elsewhere; the other stages stay as they came.

    ``stages`` are canonical names, ``head`` being what follows the penultimate one. ``new_head`` draws the
    last layer anew for the classes of the image set.
    """

    stages: list[Literal["stem", "early", "middle", "late", "penultimate", "head"]] = Field(min_length=1)
    epochs: int = Field(ge=1, le=10000)
    learning_rate: float = Field(gt=0, le=10)
    new_head: bool = False


class ModelParams(Section):
    """One model: architecture, front-end, training, and what its family needs other than the recipe.

    ``weights``: ``train``, or weights trained elsewhere (``robustness.weights``), which bring their
    architecture along, ``file:`` apart; ``sha256`` is that of the file. ``fine_tune`` trains stages of
    these; without it they are used as they are.
    """

    architecture: str | None = None
    weights: str = "train"
    sha256: str | None = None
    fine_tune: FineTuneParams | None = None
    frontend: str = "learned"
    training: Literal["canonical", "diverse", "adversarial"] = "canonical"
    width: float = Field(default=1.0, gt=0, le=8)
    options: dict[str, Any] = {}
    frontend_options: dict[str, Any] = {}
    recipe: dict[str, Any] = {}


class EvaluationParams(Section):
    """How images are classified."""

    batch_size: int = Field(ge=1, le=65536)
    conditions: dict[str, dict[str, list[Any]]] = {}


class AttackParams(Section):
    """The attack suite; ``epsilons`` of L∞ in 255ths, of L2 in image units.

    ``noise_models``: the stochastic models whose noise is studied (live, frozen, off; number of draws); null:
    all of them.
    """

    images: int = Field(ge=1)
    batch_size: int = Field(ge=1, le=65536)
    draws: int = Field(ge=1, le=1000)
    score_draws: int = Field(ge=1, le=1000)
    keep: int = Field(default=16, ge=1)
    checks: dict[str, int] = {}
    noise_images: int = Field(default=50, ge=1)
    noise_models: list[str] | None = None
    draws_sweep: list[int] = Field(default=[1, 2, 4, 8, 16], min_length=1)
    norms: dict[Literal["linf", "l2", "l1"], NormParams] = Field(min_length=1)


class NormParams(Section):
    """Budgets and attacks (name → settings) in one norm."""

    epsilons: tuple[float, ...] = Field(min_length=1)
    attacks: dict[str, dict[str, Any]] = Field(min_length=1)

    @field_validator("epsilons", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return tuple(float(v) if type(v) is int else v for v in value) if isinstance(value, list) else value

    @field_validator("epsilons")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for epsilon in value:
            if not 0 < epsilon < float("inf"):
                raise ValueError(
                    f"{epsilon:g} is no budget: every ε must be above 0 (ε = 0 is always checked)"
                )
        if len(set(value)) != len(value):
            raise ValueError("an ε stands there twice")
        return value


class ProbeParams(Section):
    """The probes (name → settings) and how many clean test images they look at.

    ``placed``: what is put into the clean map of the last layer: conditions of the image set, as
    ``viewpoint/azimuth/90``, and ``attack/<ε in 255ths>``, images attacked by PGD in L∞; at most
    ``placed_images`` each.
    """

    images: int = Field(ge=8)
    placed: list[str] = []
    placed_images: int = Field(default=60, ge=1)
    probes: dict[str, dict[str, Any]] = Field(min_length=1)

    @field_validator("placed")
    @classmethod
    def _conditions(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("a condition stands there twice; leave one out")
        for name in value:
            parts = name.split("/")
            if len(parts) != (2 if parts[0] == "attack" else 3):
                raise ValueError(f"{name!r} is neither shift/factor/level nor attack/ε")
            if parts[0] == "attack" and not 0 < _number(parts[1]) <= 255:
                raise ValueError(f"{name!r}: the ε of an attack is a number above 0 and up to 255")
        return value


def _number(text: str) -> float:
    """The number that a text stands for, NaN if it stands for none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


class StatisticsParams(Section):
    """Intervals: bootstrap over objects."""

    resamples: int = Field(ge=100, le=100000)


class LearningCurveParams(Section):
    """One net trained anew on shares (0–1] of the training data: what would more data bring?

    ``objects``: shares of the objects of every class; ``views``: shares of the images of every object. The
    share 1.0, all of the data, is one training for both axes.
    """

    model: ModelParams
    objects: list[float] = []
    views: list[float] = []

    @field_validator("objects", "views")
    @classmethod
    def _shares(cls, value: list[float]) -> list[float]:
        for share in value:
            if not 0 < share <= 1:
                raise ValueError(f"{share:g} is no share: use numbers above 0 and up to 1")
        if len(set(value)) != len(value):
            raise ValueError("a share stands there twice; leave one out")
        return value

    @model_validator(mode="after")
    def _points(self) -> LearningCurveParams:
        if not {*self.objects, *self.views} - {1.0}:
            raise ValueError("has no share below 1 in objects or views; add one, or set learning_curve: null")
        return self


class Params(Section):
    """All of params.yaml."""

    seed: int = Field(ge=0, lt=2**31)
    device: str = "auto"
    threads: int | None = Field(default=None, ge=1, le=256)
    data: DataParams
    training: TrainingParams
    frontend: dict[str, Any] = {}
    evaluation: EvaluationParams
    attack: AttackParams
    probe: ProbeParams
    statistics: StatisticsParams
    learning_curve: LearningCurveParams | None = None
    models: dict[str, ModelParams] = Field(min_length=1)

    @field_validator("models")
    @classmethod
    def _ids(cls, value: dict[str, ModelParams]) -> dict[str, ModelParams]:
        for name in value:
            if not MODEL_ID.fullmatch(name):
                raise ValueError(
                    f"{_short(name)} is no model id: use lower-case letters, digits and _, a letter first, "
                    "64 at most"
                )
        return value

    def model(self, name: str) -> ModelParams:
        """The model of that id; raises UserError with the nearest ids."""
        if name not in self.models:
            raise UserError(f"params.yaml: models has no {name!r}; {nearest(name, self.models)}")
        return self.models[name]

    def recipe(self, name: str) -> TrainingParams:
        """The training recipe with the model's own overrides, those of its fine-tuning last."""
        values = self.training.model_dump() | self.models[name].recipe
        fine_tune = self.models[name].fine_tune
        if fine_tune is not None:
            values |= fine_tune.model_dump(include={"epochs", "learning_rate"})
        return _validated(TrainingParams, values, f"models.{name}.recipe")

    def spec(self, name: str, images: ImageSet) -> ModelSpec:
        """What decides the function of a model on an image set, weights apart."""
        from robustness.models import ModelSpec

        model = self.model(name)
        if model.weights != "train":
            raise UserError(
                f"params.yaml: models.{name}.weights: {model.weights} is taken over, not trained; put the "
                "settings in profiles/<name>.yaml and run make repro PROFILE=<name>"
            )
        return ModelSpec(
            architecture=model.architecture,
            frontend=model.frontend,
            training=model.training,
            num_classes=len(images.classes),
            image_size=images.image_size,
            seed=self.seed,
            width=model.width,
            options=model.options,
            frontend_options=self.frontend_options(name),
        )

    def of_learning_curve(self) -> Params:
        """The same settings with the net of the learning curve as the only model, ``LEARNING_CURVE``."""
        return self.model_copy(update={"models": {LEARNING_CURVE: self.learning_curve.model}})

    def origin(self, name: str) -> Source | None:
        """Where the weights of a model come from; None if they are trained here."""
        from robustness.weights import TRAIN, parse

        model = self.model(name)
        return None if model.weights == TRAIN else parse(model.weights, model.sha256)

    def frontend_options(self, name: str) -> dict[str, Any]:
        """The options of a model's front-end; none for the architecture's own stem before trained weights."""
        model = self.model(name)
        own_stem = model.weights != "train" and model.frontend == "learned"
        return {} if own_stem else self.frontend | model.frontend_options

    def fine_tuning(self, name: str) -> dict[str, Any] | None:
        """All that decides the fine-tuning of a model, for its checkpoint; None if there is none."""
        fine_tune = self.model(name).fine_tune
        if fine_tune is None:
            return None
        return fine_tune.model_dump() | {"recipe": self.recipe(name).model_dump()}

    def set_settings(self) -> dict[str, str | None]:
        """The settings of the image set that only some sets take."""
        return self.data.model_dump(include={"reference", "mapping", "policy"})

    def budgets(self, norm: str) -> list[float]:
        """The ε's of a norm in image units: L∞ stands in 255ths in params.yaml."""
        scale = 255.0 if norm == "linf" else 1.0
        return [epsilon / scale for epsilon in self.attack.norms[norm].epsilons]

    def attack_setup(self, norm: str) -> Setup:
        """How the attacks in one norm run."""
        from robustness.attacks import Setup

        return Setup(
            norm=norm,
            draws=self.attack.draws,
            score_draws=self.attack.score_draws,
            batch_size=self.attack.batch_size,
            seed=self.seed,
        )

    def is_undefended(self, name: str) -> bool:
        """Whether nothing in it is meant to withstand an attack: it is its own positive control."""
        model = self.model(name)
        return model.frontend == "learned" and model.training != "adversarial"

    def corruption_normaliser(self) -> str | None:
        """The model whose errors corruption errors are divided by: our own AlexNet, plainly trained."""
        for name, model in self.models.items():
            plain = model.frontend == "learned" and model.training == "canonical" and not model.fine_tune
            if plain and self._architecture(name) == "alexnet":
                return name
        return None

    def _architecture(self, name: str) -> str | None:
        """The registry's name of a model's architecture, also where its weights bring it along."""
        from robustness.weights import networks

        model, source = self.model(name), self.origin(name)
        if source is None:
            return model.architecture
        return networks.title(*networks.library_of(source, model.architecture))

    def image_conditions(self) -> list[ImageCondition]:
        """The conditions that are made from clean test images when a model is evaluated."""
        from robustness.data.image_set import format_level
        from robustness.evaluation import ImageCondition

        return [
            ImageCondition(shift, factor, format_level(level))
            for shift, factors in self.evaluation.conditions.items()
            for factor, levels in factors.items()
            for level in levels
        ]


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml. Raises UserError that names the key, the value and what is allowed."""
    values = read_yaml(path)
    params = _validated(Params, values, "")
    library_settings.check(params)
    return params


def _validated(kind: type[Section], values: dict[str, Any], prefix: str) -> Any:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in (prefix, *first["loc"]) if part != "")
        if first["type"] == "extra_forbidden":
            known = _fields_at(kind, first["loc"][:-1])
            reason = f"unknown key; {nearest(str(first['loc'][-1]), known)}"
        elif first["type"] == "missing":
            reason = "is missing; add it (params.yaml of the repository shows every key)"
        elif first["loc"] and first["loc"][-1] == "[key]":
            place = ".".join(str(part) for part in first["loc"][:-2])
            reason = (
                f"the id {first['input']!r} is read as {type(first['input']).__name__}, not as text; quote it"
            )
        else:
            reason = f"{first['msg'].removeprefix('Value error, ')} (found {_short(first['input'])})"
        raise UserError(f"params.yaml: {place}: {reason}") from None


def _short(value: Any) -> str:
    """The beginning of a value; never the whole of one that aliases have made huge."""
    text = reprlib.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(kind: type[Section], place: tuple[Any, ...]) -> list[str]:
    """The keys allowed at a place in the tree of sections."""
    for part in place:
        field = kind.model_fields.get(part)
        if field is None:
            continue
        for candidate in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, Section):
                kind = candidate
    return list(kind.model_fields)


AttackParams.model_rebuild()
