"""Access to intermediate layers: stages by canonical name, taps that stop the forward pass, relative depth.

Nothing here changes what the network computes: hooks are removed and modes restored in ``finally``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from robustness.errors import UserError, nearest

STAGE_ORDER = ("stem", "early", "middle", "late", "penultimate")
LOGITS = "logits"
"""The name of the network's own output where a probe takes a stage."""


def stage_paths(model: nn.Module, stages: Sequence[str] | None = None) -> dict[str, str]:
    """Canonical stage name → dotted module path; ``None`` asks for all stages of the model.

    Raises UserError for a stage that the model does not have.
    """
    known: Mapping[str, str] = getattr(model, "stages", {})
    order = [name for name in STAGE_ORDER if name in known] + [n for n in known if n not in STAGE_ORDER]
    if stages is None:
        return {name: known[name] for name in order}
    for name in stages:
        if name not in known and name != LOGITS:
            raise UserError(
                f"stages: the model has no stage {name!r}; {nearest(name, known)} (all: {', '.join(order)})"
            )
    return {name: known.get(name, "") for name in stages}


def get_module(model: nn.Module, path: str) -> nn.Module:
    """The submodule at a dotted path ('' is the model itself).

    Raises UserError with the nearest existing paths if there is none.
    """
    try:
        return model.get_submodule(path)
    except AttributeError:
        paths = [name for name, _ in model.named_modules() if name]
        raise UserError(f"layer: the model has no module {path!r}; {nearest(path, paths)}") from None


def check_unit(layer: str, unit: int, units: int) -> int:
    """The unit's index if the layer has it. Raises UserError naming the range that exists."""
    if not 0 <= int(unit) < units:
        raise UserError(f"units: layer {layer!r} has no unit {unit}; it has units 0 to {units - 1}")
    return int(unit)


class _Reached(Exception):  # noqa: N818 - a signal, not an error
    """Every tapped layer has been computed: the rest of the forward pass is not needed."""


class Tap:
    """Reads the outputs of some layers and stops the forward pass after the last of them.

    ``layers`` maps any name to a module path (``''`` = the model's output). Used as a context manager;
    calling it with images (N, C, H, W) gives a dict name → output. Gradients flow through. With
    ``inputs=True`` for a name, the *input* of that module is read instead (targets before a ReLU).
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, str], *, inputs: Sequence[str] = ()) -> None:
        self.model = model
        self.layers = dict(layers)
        self.modules = {name: get_module(model, path) for name, path in self.layers.items() if path}
        self.inputs = frozenset(inputs)
        self.needs_output = any(not path for path in self.layers.values())
        self._handles: list = []
        self._caught: dict[str, Tensor] = {}
        self._running = False

    def __enter__(self) -> Tap:
        for name, module in self.modules.items():
            if name in self.inputs:
                handle = module.register_forward_pre_hook(
                    lambda m, args, name=name: self._take(name, args[0])
                )
            else:
                handle = module.register_forward_hook(lambda m, args, out, name=name: self._take(name, out))
            self._handles.append(handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._caught = {}

    def _take(self, name: str, value: Tensor) -> None:
        if not self._running:  # another tap on the same network
            return
        self._caught[name] = value
        if not self.needs_output and len(self._caught) == len(self.modules):
            raise _Reached

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        self._caught, self._running = {}, True
        try:
            output = self.model(images)
        except _Reached:
            output = None
        finally:
            self._running = False
        caught, self._caught = self._caught, {}
        missing = set(self.modules) - set(caught)
        if missing:
            raise UserError(f"layer: {', '.join(sorted(missing))} was not reached by the forward pass")
        return {name: caught[name] if path else output for name, path in self.layers.items()}


@contextmanager
def probing(model: nn.Module, *, seed: int) -> Iterator[nn.Module]:
    """The state in which a model is probed, undone on exit: evaluation mode, frozen parameters, no in-place
    activations, and one frozen noise field (drawn from ``seed``) in a stochastic front-end."""
    from robustness.frontends.blocks.noise import noise

    training = {module: module.training for module in model.modules()}
    gradients = {parameter: parameter.requires_grad for parameter in model.parameters()}
    in_place = [module for module in model.modules() if getattr(module, "inplace", False) is True]
    try:
        model.eval()
        for parameter in gradients:
            parameter.requires_grad_(False)
        for module in in_place:
            module.inplace = False
        with noise(model, "frozen", seed=seed):
            yield model
    finally:
        for module, mode in training.items():
            module.training = mode
        for parameter, wanted in gradients.items():
            parameter.requires_grad_(wanted)
        for module in in_place:
            module.inplace = True


def pooled(features: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C) by the mean over positions; (N, C) stays."""
    return features.flatten(2).mean(2) if features.dim() > 2 else features


def as_maps(features: Tensor) -> Tensor:
    """(N, C) → (N, C, 1, 1), so that every layer can be treated as maps."""
    return features if features.dim() == 4 else features.flatten(1)[:, :, None, None]


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's parameters or buffers (CPU if it has neither)."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")


@torch.no_grad()
def features(
    model: nn.Module, layers: Mapping[str, str], images: Tensor, *, batch: int = 128
) -> dict[str, Tensor]:
    """The layers' outputs for all images, on the CPU: name → (N, …). Memory grows with N × layer size."""
    device = device_of(model)
    parts: dict[str, list[Tensor]] = {name: [] for name in layers}
    with Tap(model, layers) as tap:
        for chunk in images.split(batch):
            for name, value in tap(chunk.to(device)).items():
                parts[name].append(value.detach().cpu())
    return {name: torch.cat(values) for name, values in parts.items()}


def fitting(batch: int, images: Tensor) -> int:
    """How many of the images (…, H, W) hold as many pixels as ``batch`` images of 64 × 64, one at least.

    Memory grows with pixels: a batch that suits small images would not fit for photographs.
    """
    return max(1, min(batch, batch * 64 * 64 // (images.shape[-1] * images.shape[-2])))


def is_weight_layer(module: nn.Module) -> bool:
    """Whether the module itself (not its children) holds a weight of two or more dimensions: convolutions,
    linear layers, filter banks; not normalisations, whose parameters are vectors."""
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return any(tensor.dim() >= 2 and tensor.numel() > 1 for tensor in own)


@torch.no_grad()
def execution_order(model: nn.Module, image: Tensor) -> list[str]:
    """The paths of all modules in the order in which they finish on one image (1, C, H, W)."""
    finished: list[str] = []
    handles = [
        module.register_forward_hook(lambda m, args, out, name=name: finished.append(name))
        for name, module in model.named_modules()
        if name
    ]
    try:
        model(image.to(device_of(model)))
    finally:
        for handle in handles:
            handle.remove()
    return finished


def relative_depths(model: nn.Module, stages: Mapping[str, str], image: Tensor) -> dict[str, float]:
    """Relative depth of each stage in [0, 1]: the share of the network's weight layers (see
    :func:`is_weight_layer`) that have run when the stage's output is ready. The logits are at 1."""
    finished = execution_order(model, image)
    modules = dict(model.named_modules())
    weights = [is_weight_layer(modules[name]) for name in finished]
    total = max(sum(weights), 1)
    depths = {}
    for stage, path in stages.items():
        depths[stage] = sum(weights[: finished.index(path) + 1]) / total if path in finished else 1.0
    return depths
