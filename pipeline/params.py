"""params.yaml as a frozen, typed object, read once at the edge; a wrong setting is refused in one line.

Settings that a library function validates itself (front-end, attacks, probes, rendering) are handed on as
they are and checked by building the library's own settings object before any work starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from robustness.data.photos.catalogue import ADAPTERS
from robustness.errors import UserError, nearest

if TYPE_CHECKING:
    from robustness.attacks import Setup
    from robustness.data.image_set import ImageSet
    from robustness.evaluation import ImageCondition
    from robustness.models import ModelSpec
    from robustness.weights import Source

MODEL_ID = re.compile(r"[a-z0-9_]+")


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


class ModelParams(Section):
    """One model: architecture, front-end, training, and what its family needs other than the recipe.

    ``weights``: ``train``, or weights trained elsewhere (``robustness.weights``), which bring their
    architecture along, ``file:`` apart; ``sha256`` is that of the file.
    """

    architecture: str | None = None
    weights: str = "train"
    sha256: str | None = None
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
    norms: dict[Literal["linf", "l2", "l1"], NormParams]


class NormParams(Section):
    """Budgets and attacks (name → settings) in one norm."""

    epsilons: tuple[float, ...] = Field(min_length=1)
    attacks: dict[str, dict[str, Any]] = Field(min_length=1)

    @field_validator("epsilons", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return (
            tuple(float(v) if isinstance(v, int) else v for v in value) if isinstance(value, list) else value
        )

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
    probes: dict[str, dict[str, Any]]

    @field_validator("placed")
    @classmethod
    def _conditions(cls, value: list[str]) -> list[str]:
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
    models: dict[str, ModelParams] = Field(min_length=1)

    @field_validator("models")
    @classmethod
    def _ids(cls, value: dict[str, ModelParams]) -> dict[str, ModelParams]:
        for name in value:
            if not MODEL_ID.fullmatch(name):
                raise ValueError(f"{name!r} is no model id: use lower-case letters, digits and _ only")
        return value

    def model(self, name: str) -> ModelParams:
        """The model of that id; raises UserError with the nearest ids."""
        if name not in self.models:
            raise UserError(f"params.yaml: models has no {name!r}; {nearest(name, self.models)}")
        return self.models[name]

    def recipe(self, name: str) -> TrainingParams:
        """The training recipe with the model's own overrides."""
        values = self.training.model_dump() | self.models[name].recipe
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
            frontend_options=self.frontend | model.frontend_options,
        )

    def origin(self, name: str) -> Source | None:
        """Where the weights of a model come from; None if they are trained here."""
        from robustness.weights import TRAIN, parse

        model = self.model(name)
        return None if model.weights == TRAIN else parse(model.weights, model.sha256)

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
            if (model.architecture, model.frontend, model.training) == ("alexnet", "learned", "canonical"):
                return name
        return None

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
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run in the folder that holds it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold a mapping with the keys {', '.join(Params.model_fields)}")
    params = _validated(Params, values, "")
    _check_library_settings(params)
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
        else:
            reason = f"{first['msg'].removeprefix('Value error, ')} (found {_short(first['input'])})"
        raise UserError(f"params.yaml: {place}: {reason}") from None


def _short(value: Any) -> str:
    text = repr(value)
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


def _check_library_settings(params: Params) -> None:
    """Names and settings that the library knows: refused here, before any work."""
    from robustness import architectures, frontends, models
    from robustness.devices import resolve

    resolve(params.device)
    _check_data(params)
    for name, model in params.models.items():
        where = f"params.yaml: models.{name}"
        if model.weights != "train":
            _check_weights(params, name, model)
            continue
        if model.architecture is None:
            raise UserError(f"{where}.architecture: is missing; name one, or weights that bring it along")
        if model.architecture not in architectures.names():
            known = nearest(model.architecture, architectures.names())
            raise UserError(f"{where}.architecture: unknown {model.architecture!r}; {known}")
        if model.frontend not in frontends.names():
            known = nearest(model.frontend, frontends.names())
            raise UserError(f"{where}.frontend: unknown {model.frontend!r}; {known}")
        params.recipe(name)
        with _at(f"frontend and models.{name}.frontend_options"):
            models.frontend_options(params.frontend | model.frontend_options)
    _check_conditions(params.evaluation)
    _check_attacks(params.attack)
    for name in params.attack.noise_models or ():
        if name not in params.models:
            known = nearest(name, params.models)
            raise UserError(f"params.yaml: attack.noise_models: there is no model {name!r}; {known}")
    _check_probes(params.probe)


def _check_data(params: Params) -> None:
    """A set on disk: the settings that it takes, and whether models may be trained on it."""
    from robustness.data import photos

    data = params.data
    if data.set not in photos.ADAPTERS:
        for key, value in {"path": data.path, **params.set_settings()}.items():
            if value is not None:
                raise UserError(f"params.yaml: data.{key}: the set {data.set} takes no such setting")
        return
    trains = any(model.weights == "train" for model in params.models.values())
    with _at("data"):
        photos.check(data.set, data.path, trains, **params.set_settings())


def _check_weights(params: Params, name: str, model: ModelParams) -> None:
    """Weights from elsewhere: their name, and that nothing is asked of them but to be used."""
    from robustness.weights.networks import library_of

    with _at(f"models.{name}.weights"):
        source = params.origin(name)
        library_of(source, model.architecture)
    if model.frontend != "learned":
        raise UserError(
            f"params.yaml: models.{name}.frontend: {model.frontend} in front of trained weights would feed "
            "them what they never saw; leave it out, or train the model (weights: train)"
        )
    for key, usual in (("training", "canonical"), ("width", 1.0), ("options", {}), ("recipe", {})):
        if getattr(model, key) != usual:
            raise UserError(f"params.yaml: models.{name}.{key}: weights from elsewhere are used as they are")


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Put the key that a library's message is about in front of it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"params.yaml: {place}: {error}") from None


def _check_conditions(evaluation: EvaluationParams) -> None:
    from robustness import shifts

    for shift, factors in evaluation.conditions.items():
        for name, levels in factors.items():
            with _at(f"evaluation.conditions.{shift}.{name}"):
                factor = shifts.get(f"{shift}/{name}")
                if factor.applies == "rendered":
                    raise UserError("is rendered; it belongs under data.render.factors")
                for level in levels:
                    factor.parse(level)


def _check_attacks(attack: AttackParams) -> None:
    from robustness import attacks
    from robustness.attacks.checks import Scale

    for norm, suite in attack.norms.items():
        for name in suite.attacks:
            if name not in attacks.names():
                known = nearest(name, attacks.names())
                raise UserError(f"params.yaml: attack.norms.{norm}.attacks: unknown {name!r}; {known}")
        with _at(f"attack.norms.{norm}.attacks"):
            attacks.plan(suite.attacks, norm)
    for key in attack.checks:
        if key not in Scale.__dataclass_fields__:
            known = nearest(key, Scale.__dataclass_fields__)
            raise UserError(f"params.yaml: attack.checks: unknown key {key!r}; {known}")


def _check_probes(probe: ProbeParams) -> None:
    from robustness import probes

    for name, settings in probe.probes.items():
        if name not in probes.names():
            raise UserError(f"params.yaml: probe.probes: unknown {name!r}; {nearest(name, probes.names())}")
        with _at("probe"):
            probes.check(name, settings)


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: PyYAML alone keeps the last and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice in one mapping", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


AttackParams.model_rebuild()
