"""A classifier with pretrained weights: built, saved and loaded like the project's own models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustness import frontends, models
from robustness.errors import UserError
from robustness.models import ModelSpec, Normalise
from robustness.seeds import derive
from robustness.weights import cifar_resnet, fine_tuning, networks, stages, user_network
from robustness.weights.source import Source, parse

_HOW = ("architecture", "groups", "new_head", "builder")


class Pretrained(nn.Module):
    """Images (N, 3, S, S), float32 in [0, 1], to logits (N, classes of the image set).

    Images of another size than the weights' own are resized to it (bilinear, anti-aliased), so that
    every model of a run gets the same pixels and attacks act on those. ``spec.image_size`` is S. ``stages``
    maps the canonical names to module paths in this module, as for ``models.Classifier``; ``frozen`` are
    paths of modules that stay in evaluation mode while the rest is trained.
    """

    def __init__(
        self,
        spec: ModelSpec,
        network: nn.Module,
        paths: dict[str, str],
        input_size: int,
        groups: Sequence[Sequence[int]] | None,
        outputs: int = networks.CLASSES,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.input_size = input_size
        self.normalise = Normalise(spec.mean, spec.std)
        self.network = network
        self.gather = nn.Identity() if groups is None else Gather(groups, outputs)
        self.stages = {name: f"network.{path}" for name, path in paths.items()}
        self.frozen: tuple[str, ...] = ()

    def train(self, mode: bool = True) -> Pretrained:
        """Training mode, except for the modules named in ``frozen``: their statistics must not change."""
        super().train(mode)
        for path in self.frozen:
            self.get_submodule(path).train(False)
        return self

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.input_size:
            size = (self.input_size, self.input_size)
            x = functional.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
        return self.gather(self.network(self.normalise(x)))


class Gather(nn.Module):
    """Logits (N, outputs) to logits (N, classes): a class has the largest logit of its outputs.

    So the prediction is the class of the largest output among those named, and gradients reach that output.
    """

    def __init__(self, groups: Sequence[Sequence[int]], outputs: int) -> None:
        super().__init__()
        named = [number for group in groups for number in group]
        if not all(groups) or min(named) < 0 or max(named) >= outputs:
            raise UserError(
                f"the image set maps its classes to outputs {min(named)} to {max(named)}, some class perhaps "
                f"to none; the network has {outputs} outputs"
            )
        widest = max(map(len, groups))
        # Short groups repeat their first member: the largest is the same.
        index = [[*group, *[group[0]] * (widest - len(group))] for group in groups]
        self.register_buffer("index", torch.tensor(index), persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        return logits[:, self.index].amax(dim=2)


def build(
    source: Source,
    *,
    architecture: str | None = None,
    image_size: int,
    num_classes: int = networks.CLASSES,
    groups: Sequence[Sequence[int]] | None = None,
    frontend: str = "learned",
    frontend_options: dict[str, Any] | None = None,
    new_head: bool = False,
    builder: dict[str, Any] | None = None,
    seed: int = 0,
) -> Pretrained:
    """The classifier of ``source`` on images of ``image_size`` pixels, in evaluation mode.

    ``groups[k]`` are the network's outputs for class k of the image set (None: output k).
    ``frontend`` replaces the stem and ``new_head`` (without groups) the last layer, both untrained: fine-tune
    before use. ``builder`` (``user_network.Builder``) belongs to a network of the user's own. Raises
    UserError if the weights cannot be loaded or do not fit their network, or if no front-end fits it.
    """
    library, name = networks.library_of(source, architecture)
    if library == "python":
        model = _user_frame(source, architecture, image_size, num_classes, groups, seed, builder)
    else:
        model = _frame(source, architecture, image_size, num_classes, groups, seed, new_head)
        state = networks.read(source, library, name, model.network)
        if new_head:
            state |= _head_state(model)
        _fill(model.network, state, str(source))
    if frontend != "learned":
        _put_front(model, library, name, frontend, frontend_options or {}, seed)
    return model.eval()


def save(model: Pretrained, source: Source, path: Path, notes: dict[str, Any], **how: Any) -> None:
    """Write weights, spec and origin as one safetensors file; ``how``: :func:`build`'s other arguments."""
    models.save(model, path, notes | origin_notes(source, **how))


def origin_notes(source: Source, **how: Any) -> dict[str, Any]:
    """The origin of the weights, for the header of a checkpoint; ``how`` as :func:`save`."""
    kept = {"source": str(source), **{key: how.get(key) for key in _HOW}}
    if source.kind == "python":
        kept["code"] = user_network.code_digest(source.name)
    return {"pretrained": kept}


def check_fits(spec: ModelSpec, image_size: int, num_classes: int, what: str) -> None:
    """Raises UserError if a model of that spec is of a set of other classes or another image size."""
    for kind, theirs, ours in (("classes", spec.num_classes, num_classes),
                               ("pixels", spec.image_size, image_size)):  # fmt: skip
        if theirs != ours:
            raise UserError(f"{what}: is of a set of {theirs} {kind}, this one has {ours}")


def load(path: Path, *, run_code: bool = False) -> models.Classifier | Pretrained:
    """Read a saved classifier, trained here or pretrained, without its source: nothing is downloaded, no code
    in the file is executed.

    With ``run_code`` a network of the user's own is built by their code anew: for files that this run made
    itself, since a header from elsewhere could name any callable. Raises UserError without it, and if the
    code has changed since.
    """
    from safetensors.torch import load_file

    spec, notes = models.read_header(path)
    if "pretrained" not in notes:
        return models.load(path)
    origin = notes["pretrained"]
    source = parse(origin["source"])
    how = (source, origin["architecture"], spec.image_size, spec.num_classes, origin["groups"], spec.seed)
    if source.kind == "python":
        if not run_code:
            raise UserError(f"{path}: is built by code, {source}, which runs only if the settings name it; "
                            "give its weights as a file (builder: file:)")  # fmt: skip
        if user_network.code_digest(source.name) != origin["code"]:
            raise UserError(f"{path}: was made with other code of {source}; train the model again")
        # Its weights are in this file, wherever they came from.
        model = _user_frame(*how, (origin["builder"] or {}) | {"file": None})
    else:
        model = _frame(*how, bool(origin.get("new_head")))
    if spec.frontend != "learned":
        library, name = networks.library_of(source, origin["architecture"])
        _put_front(model, library, name, spec.frontend, spec.frontend_options, spec.seed)
    _fill(model, load_file(str(path)), str(path))
    return model.eval()


def _frame(
    source: Source,
    architecture: str | None,
    image_size: int,
    num_classes: int,
    groups: Sequence[Sequence[int]] | None,
    seed: int,
    new_head: bool = False,
) -> Pretrained:
    """The classifier with its network's own first weights."""
    library, name = networks.library_of(source, architecture)
    traits = networks.traits(library, name)
    # A file may belong to any set of classes; the libraries' weights are ImageNet's.
    own = groups is None and (new_head or source.kind == "file")
    known = cifar_resnet.CLASSES if library == networks.CIFAR else networks.CLASSES
    outputs = num_classes if own else known
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights", str(source), "head"))
        network = networks.build(library, name, traits.input_size, outputs)
    entry = networks.entry_of(library, name)
    paths = dict(entry.stages) if entry else stages.find(network, name, traits.input_size)
    return _classifier(
        network, paths, networks.title(library, name), traits, outputs, image_size, num_classes, groups, seed,
        str(source), "these weights do not belong to it as they are (fine_tune with new_head: true gives "
        "them a last layer for it)",
    )  # fmt: skip


def _user_frame(
    source: Source,
    architecture: str | None,
    image_size: int,
    num_classes: int,
    groups: Sequence[Sequence[int]] | None,
    seed: int,
    settings: dict[str, Any] | None,
) -> Pretrained:
    """The classifier that the user's own code builds; ``architecture`` is its name in tables."""
    builder = user_network.Builder.read(settings or {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights", str(source), "head"))
        network = user_network.build(source.name, builder, image_size, source.sha256)
    title = architecture or user_network.split(source.name)[0].rpartition(".")[2]
    return _framed(network, str(source), title, image_size, num_classes, groups, seed, builder)


def around(
    network: nn.Module,
    *,
    image_size: int,
    num_classes: int,
    groups: Sequence[Sequence[int]] | None = None,
    builder: dict[str, Any] | None = None,
) -> Pretrained:
    """The classifier around a network that is there already, with the weights that it has.

    Arguments and errors as for :func:`build`; ``builder`` says its input size, normalisation and stages.
    """
    how, title = user_network.Builder.read(builder or {}), type(network).__name__
    own = user_network.around(network, title, how, image_size)
    return _framed(own, title, title, image_size, num_classes, groups, 0, how).eval()


def _framed(
    network: user_network.UserNetwork,
    what: str,
    title: str,
    image_size: int,
    num_classes: int,
    groups: Sequence[Sequence[int]] | None,
    seed: int,
    builder: user_network.Builder,
) -> Pretrained:
    size = builder.input_size or image_size
    # One channel is taken of three equal in these.
    mean, std = (tuple(values) * (3 // len(values)) for values in (builder.mean, builder.std))
    paths, traits = user_network.stages_of(network, what, builder, size), networks.Traits(size, mean, std)
    return _classifier(
        network, paths, title, traits, network.classes, image_size, num_classes, groups, seed,
        what, "let it be built for as many (builder: arguments:)",
    )  # fmt: skip


def _classifier(
    network: nn.Module,
    paths: dict[str, str],
    title: str,
    traits: networks.Traits,
    outputs: int,
    image_size: int,
    num_classes: int,
    groups: Sequence[Sequence[int]] | None,
    seed: int,
    what: str,
    advice: str,
) -> Pretrained:
    """The network, of ``outputs`` outputs, as a classifier of the image set's classes.

    Raises UserError, about ``what`` and with ``advice``, if it answers with more or fewer.
    """
    classes = outputs if groups is None else len(groups)
    if num_classes != classes:
        raise UserError(f"{what}: answers with {classes} classes, the image set has {num_classes}; {advice}")
    spec = ModelSpec(
        architecture=title,
        frontend="learned",
        training="canonical",
        num_classes=classes,
        image_size=image_size,
        seed=seed,
        mean=traits.mean,
        std=traits.std,
    )
    return Pretrained(spec, network, paths, traits.input_size, groups, outputs)


def _head_state(model: Pretrained) -> dict[str, Tensor]:
    """The tensors of the last layer as they were drawn, under the network's names."""
    paths = fine_tuning.modules(model)[fine_tuning.HEAD]
    if not paths:
        raise UserError(f"{model.spec.architecture}: has no layer after the penultimate one to draw anew")
    found = model.state_dict()
    return {key.removeprefix("network."): value for key, value in found.items()
            if key.rpartition(".")[0] in paths}  # fmt: skip


def _fill(module: nn.Module, state: dict[str, Tensor], what: str) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{what}: the weights do not fit the network ({str(error)[:200]})") from error


def _put_front(
    model: Pretrained, library: str, name: str, frontend: str, options: dict[str, Any], seed: int
) -> None:
    paths = {stage: path.removeprefix("network.") for stage, path in model.stages.items()}
    entry = networks.entry_of(library, name) or stages.with_stem(
        model.network, model.spec.architecture, paths, model.input_size
    )
    channels = 1 if library == "python" and model.network.grey else 3
    model.network = frontends.install(
        model.network,
        entry,
        frontend,
        image_size=model.input_size,
        mean=model.spec.mean[:channels],
        std=model.spec.std[:channels],
        seed=seed,
        options=models.frontend_options(options),
    )
    model.spec = replace(model.spec, frontend=frontend, frontend_options=options)
