"""Fine-tuning of some stages of a classifier, the rest frozen: which module belongs to which stage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import nn

from robustness.architectures import STAGES
from robustness.errors import UserError

HEAD = "head"
PARTS = (*STAGES, HEAD)
"""What can be trained apart: the canonical stages, and what follows the penultimate one."""


@torch.no_grad()
def modules(model: nn.Module) -> dict[str, list[str]]:
    """Part → dotted paths of the modules that belong to it, in the order in which an image passes them.

    ``model`` has ``stages`` (canonical name → path) and a ``spec`` with ``image_size``. A module that holds
    parameters or has no children belongs to the first stage that has not ended before its call ends; what
    comes after the penultimate stage is the head. Modules that no image passes (auxiliary classifiers) belong
    to none.
    """
    ends = {path: name for name, path in model.stages.items()}
    found: dict[str, list[str]] = {part: [] for part in PARTS}
    now = [PARTS[0]]
    seen: set[str] = set()

    def ended(path: str, own: bool) -> None:
        if own and path not in seen:
            seen.add(path)
            found[now[0]].append(path)
        if path in ends:
            now[0] = PARTS[PARTS.index(ends[path]) + 1]

    handles = []
    for path, module in model.named_modules():
        if not path or path == "normalise":
            continue
        own = any(True for _ in module.parameters(recurse=False)) or not any(True for _ in module.children())
        # A stage that ends with a block of several modules: those come first, then the block.
        handles.append(module.register_forward_hook(lambda *_, path=path, own=own: ended(path, own)))
    was_training = model.training
    size = model.spec.image_size
    device = next(model.parameters()).device
    try:
        model.eval()
        with torch.random.fork_rng():  # a front-end with noise draws
            model(torch.zeros(1, len(model.spec.mean), size, size, device=device))
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    return found


def freeze(model: nn.Module, parts: Iterable[str]) -> None:
    """Leave ``parts`` of a pretrained model trainable and freeze the rest, in place.

    Frozen are parameters and, by way of ``model.frozen``, the running statistics of batch normalisation and
    dropout. Filters that a front-end keeps fixed stay so. Raises UserError for an unknown part, and if
    nothing that could be trained is left.
    """
    chosen = list(parts)
    for part in chosen:
        if part not in PARTS:
            raise UserError(f"fine_tune.stages: {part!r} is none of {', '.join(PARTS)}")
    if hasattr(model.network, "self_organise"):
        raise UserError(
            f"fine_tune: {model.spec.architecture} learns without a teacher; train it (weights: train)"
        )
    members = modules(model)
    trained = {path for part in chosen for path in members[part]}
    frozen = []
    for path, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if path and path not in trained and (own or not any(True for _ in module.children())):
            frozen.append(path)
            for parameter in own:
                parameter.requires_grad_(False)
    model.frozen = tuple(frozen)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"fine_tune.stages: {', '.join(chosen)} of {model.spec.architecture} has no weights")


def fingerprint(model: nn.Module) -> str:
    """A hash of all tensors and of what is frozen: two trainings from different starts are told apart."""
    found = hashlib.sha256(repr(getattr(model, "frozen", ())).encode())
    for name, value in model.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
