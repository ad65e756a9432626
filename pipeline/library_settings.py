"""Settings that the library knows (names, options, levels): checked before any work, in one line.

The library checks them again where they are used; here a wrong one is met before the first image is made,
and the line names its key in params.yaml.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from robustness.errors import UserError, nearest

if TYPE_CHECKING:
    from pipeline.params import AttackParams, EvaluationParams, ModelParams, Params, ProbeParams

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
LARGEST_EPSILON = 255.0  # of L∞, in 255ths: more than black to white


def check(params: Params) -> None:
    """Raises UserError, one line that names the key, for the first setting that the library would refuse."""
    from robustness.devices import resolve

    if not DEVICE.fullmatch(params.device):
        raise UserError(f"params.yaml: device: {params.device!r} is unknown; use auto, cpu, cuda or cuda:N")
    with _at("device", strip="device: "):
        resolve(params.device)
    _check_data(params)
    for name, model in params.models.items():
        _check_model(params, name, model)
    if params.data.set == "objects":
        _check_rendering(params)
    if params.learning_curve is not None:
        _check_learning_curve(params)
    _check_conditions(params.evaluation)
    _check_attacks(params.attack)
    for name in params.attack.noise_models or ():
        if name not in params.models:
            known = nearest(name, params.models)
            raise UserError(f"params.yaml: attack.noise_models: there is no model {name!r}; {known}")
    _check_probes(params.probe)


@contextmanager
def _at(place: str, strip: str = "") -> Iterator[None]:
    """Put the key that a library's message is about in front of it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"params.yaml: {place}: {str(error).removeprefix(strip)}") from None


def _check_data(params: Params) -> None:
    """A set on disk: the settings that it takes, and whether models may be trained on it."""
    from robustness.data import photos

    data = params.data
    if data.set not in photos.ADAPTERS:
        for key, value in {"path": data.path, **params.set_settings()}.items():
            if value is not None:
                raise UserError(f"params.yaml: data.{key}: the set {data.set} takes no such setting")
        return
    trains = any(model.weights == "train" or model.fine_tune for model in params.models.values())
    trains = trains or params.learning_curve is not None
    with _at("data"):
        photos.check(data.set, data.path, trains, **params.set_settings())


def _check_weights(params: Params, name: str, model: ModelParams) -> None:
    """Weights from elsewhere: their name, and that nothing is asked of them but to be used or fine-tuned."""
    from robustness.weights.networks import library_of

    with _at(f"models.{name}.weights"):
        source = params.origin(name)
        network = library_of(source, model.architecture)
    usual = {"training": "canonical", "width": 1.0, "options": {}}
    if model.fine_tune is None:
        if model.frontend != "learned":
            raise UserError(
                f"params.yaml: models.{name}.frontend: {model.frontend} in front of trained weights would "
                "feed them what they never saw; leave it out, fine-tune the first stages (fine_tune), or "
                "train the model (weights: train)"
            )
        usual["recipe"] = {}
    for key, value in usual.items():
        if getattr(model, key) != value:
            raise UserError(f"params.yaml: models.{name}.{key}: weights from elsewhere are used as they are")
    if model.fine_tune is not None:
        _check_fine_tuning(params, name, model, network)


def _check_fine_tuning(params: Params, name: str, model: ModelParams, network: tuple[str, str]) -> None:
    """That what stands new in a network with trained weights is trained, and that a front-end fits it."""
    from robustness import frontends
    from robustness.weights.adopted import stem_entry

    place, stages = f"models.{name}", model.fine_tune.stages
    if len(set(stages)) != len(stages):
        raise UserError(f"params.yaml: {place}.fine_tune.stages: a stage stands there twice; leave one out")
    if model.fine_tune.new_head and "head" not in stages:
        raise UserError(
            f"params.yaml: {place}.fine_tune.stages: lacks head, which new_head draws anew; add it"
        )
    if model.frontend not in frontends.names():
        known = nearest(model.frontend, frontends.names())
        raise UserError(f"params.yaml: {place}.frontend: unknown {model.frontend!r}; {known}")
    if model.frontend != "learned":
        if "stem" not in stages:
            raise UserError(
                f"params.yaml: {place}.fine_tune.stages: lacks stem, where the front-end stands untrained; "
                "add it"
            )
        with _at(f"{place}.frontend"):
            stem_entry(*network)
    params.recipe(name)
    _check_frontend_options(place, params.frontend_options(name))


def _check_model(params: Params, name: str, model: ModelParams) -> None:
    from robustness import architectures, frontends

    place = f"models.{name}"
    if model.weights != "train":
        _check_weights(params, name, model)
        return
    if model.fine_tune is not None:
        raise UserError(
            f"params.yaml: {place}.fine_tune: belongs to weights from elsewhere; what is trained here has "
            "its recipe"
        )
    if model.architecture is None:
        raise UserError(
            f"params.yaml: {place}.architecture: is missing; name one, or weights that bring it along"
        )
    for key, value, known in (
        ("architecture", model.architecture, architectures.names()),
        ("frontend", model.frontend, frontends.names()),
    ):
        if value not in known:
            raise UserError(f"params.yaml: {place}.{key}: unknown {value!r}; {nearest(value, known)}")
    params.recipe(name)
    with _at(place, strip=f"{model.architecture}: "):
        entry = architectures.get(model.architecture)
        # The number of classes and channels is the image set's own; the smallest ones stand for it here.
        entry.check(num_classes=2, in_channels=1, image_size=params.data.image_size, width=model.width)
    with _at(f"{place}.options", strip=f"{model.architecture}: "):
        entry.complete(model.options)
    _check_frontend_options(place, params.frontend_options(name))


def _check_frontend_options(place: str, options: dict[str, Any]) -> None:
    from robustness import frontends, models

    with _at(f"frontend and {place}.frontend_options"):
        _check_types(options, frontends.FrontendOptions)
        models.frontend_options(options)


def _check_rendering(params: Params) -> None:
    from robustness.data.render_settings import RenderSettings

    try:
        settings = RenderSettings.from_mapping(
            params.data.render, image_size=params.data.image_size, seed=params.seed
        )
    except UserError as error:
        place = "" if str(error).startswith("data.render") else "data.render.factors: "
        raise UserError(f"params.yaml: {place}{error}") from None
    except TypeError as error:  # a list or a mapping in the place of a level
        raise UserError(
            f"params.yaml: data.render: a value is of the wrong kind ({error}); a level is a number or a name"
        ) from error
    for name, model in params.models.items():
        if model.training == "diverse" and "diverse" not in settings.training:
            raise UserError(
                f"params.yaml: data.render.training: lacks diverse, which models.{name} is trained on; "
                f"add it or set models.{name}.training: canonical"
            )


def _check_learning_curve(params: Params) -> None:
    """The net of the learning curve, by the rules of any other model; it is trained here."""
    alone = params.of_learning_curve()
    ((name, model),) = alone.models.items()
    place = f"{name}.model"
    if model.weights != "train":
        raise UserError(
            f"params.yaml: {place}.weights: {model.weights} cannot stand there; every share trains the net "
            "anew, so name an architecture"
        )
    try:
        _check_model(alone, name, model)
        if params.data.set == "objects":
            _check_rendering(alone)
    except UserError as error:
        raise UserError(str(error).replace(f"models.{name}", place)) from None


def _check_conditions(evaluation: EvaluationParams) -> None:
    from robustness import shifts
    from robustness.data.image_set import format_level

    for shift, factors in evaluation.conditions.items():
        for name, levels in factors.items():
            with _at(f"evaluation.conditions.{shift}.{name}"):
                factor = shifts.get(f"{shift}/{name}")
                if factor.applies == "rendered":
                    raise UserError("is rendered; it belongs under data.render.factors")
                for level in levels:
                    if not isinstance(level, (int, float, str)):
                        raise UserError(f"{level!r} is no level; use numbers or names")
                    factor.parse(level)
                texts = [format_level(level) for level in levels]
                twice = next((text for text in texts if texts.count(text) > 1), None)
                if twice is not None:
                    raise UserError(f"the level {twice} stands twice; leave one out")


def _check_attacks(attack: AttackParams) -> None:
    from robustness import attacks
    from robustness.attacks.checks import Scale

    for norm, suite in attack.norms.items():
        if norm == "linf" and max(suite.epsilons) > LARGEST_EPSILON:
            raise UserError(
                f"params.yaml: attack.norms.linf.epsilons: {max(suite.epsilons):g} is more than black to "
                "white; they are in 255ths, use up to 255"
            )
        for name in suite.attacks:
            if name not in attacks.names():
                known = nearest(name, attacks.names())
                raise UserError(f"params.yaml: attack.norms.{norm}.attacks: unknown {name!r}; {known}")
        with _at(f"attack.norms.{norm}.attacks"):
            for planned in attacks.plan(suite.attacks, norm):
                with _named(planned.label):
                    _check_types(planned.settings, planned.entry.build)
    for key, value in attack.checks.items():
        if key not in Scale.__dataclass_fields__:
            known = nearest(key, Scale.__dataclass_fields__)
            raise UserError(f"params.yaml: attack.checks: unknown key {key!r}; {known}")
        least = 0 if key == "decision_samples" else 1
        if value < least:
            raise UserError(f"params.yaml: attack.checks.{key}: {value} is too few; use {least} or more")


def _check_probes(probe: ProbeParams) -> None:
    from robustness import probes

    for name, settings in probe.probes.items():
        if name not in probes.names():
            raise UserError(f"params.yaml: probe.probes: unknown {name!r}; {nearest(name, probes.names())}")
        with _at("probe"):
            probes.check(name, settings)
        with _at(f"probe.probes.{name}"):
            if "placed" in settings:
                raise UserError("placed belongs one level up, under probe.placed")
            _check_types(settings, probes.get(name).run)


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{name}.{error}") from None


def _check_types(settings: Mapping[str, Any], taker: Callable[..., Any]) -> None:
    """Raises UserError if a value has not the type that ``taker`` (a function or a class) says it takes.

    Numbers must be finite and, as everywhere in the library's settings, not negative.
    """
    typed = {key: text for key, text in taker.__annotations__.items() if key in settings}
    hints = get_type_hints(SimpleNamespace(__annotations__=typed), vars(sys.modules[taker.__module__]))
    for key, value in settings.items():
        if isinstance(value, (int, float)) and not 0 <= value < math.inf:
            raise UserError(f"{key}: {value} is out of range; use a finite number from 0")
        try:
            TypeAdapter(hints.get(key, Any)).validate_json(json.dumps(value), strict=True)
        except (TypeError, ValueError) as error:
            wrong = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise UserError(f"{key}: {wrong[0].lower()}{wrong[1:]} (found {reprlib.repr(value)})") from None
