"""Where to look inside a network that the registry does not know: its stages, found by running it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from robustness.architectures import STAGES, Architecture, Stem
from robustness.errors import UserError

# The reductions of height and width at which the registry's networks have these stages.
_EARLY, _MIDDLE = 4, 16
# Networks whose stages are set by hand, to agree with their relatives in the registry.
_KNOWN = {
    "tf_efficientnet_lite": dict(zip(STAGES, ("bn1", "blocks.1", "blocks.4", "blocks.6", "global_pool"),
                                     strict=True)),
}  # fmt: skip


@torch.no_grad()
def find(network: nn.Module, name: str, input_size: int, channels: int = 3) -> dict[str, str]:
    """Canonical name → dotted path of a module that is called once per forward pass and gives one tensor.

    ``stem`` ends before the second convolution; ``early`` and ``middle`` end the reductions by 4 and by 16
    (or the nearest in octaves); ``late`` is the last map, ``penultimate`` what the last layer reads. Raises
    UserError for a network without feature maps, such as a transformer on tokens.
    """
    for prefix, paths in _KNOWN.items():
        if name.startswith(prefix):
            return dict(paths)
    calls = record(network, input_size, channels)
    once = {path for path in {path for path, *_ in calls} if sum(path == p for p, *_ in calls) == 1}
    convolutions = [i for i, (path, *_) in enumerate(calls)
                    if isinstance(network.get_submodule(path), nn.Conv2d)]  # fmt: skip
    heads = [i for i, (path, *_) in enumerate(calls)
             if isinstance(network.get_submodule(path), (nn.Linear, nn.Conv2d))]  # fmt: skip
    maps = [(i, path, shape) for i, (path, shape) in enumerate(calls)
            if path in once and shape is not None and len(shape) == 4 and shape[-1] > 1]  # fmt: skip
    if len(convolutions) < 2 or sum(convolutions[1] < i < heads[-1] for i, *_ in maps) < 3:
        raise UserError(f"{name}: has no feature maps to look into; only convolutional networks can be used")
    second, last = convolutions[1], heads[-1]
    stem = [path for i, path, _ in maps if i < second][-1]
    # Whole blocks only: a layer inside a block may already belong to the next size.
    inner = [(i, path, shape) for i, path, shape in maps if second < i < last and path.count(".") <= 1]
    # What lies inside the last block and is as small is no stage of its own.
    _, whole, last_map = inner[-1]
    inner = [each for each in inner if not each[1].startswith(f"{whole}.") or each[2][-1] != last_map[-1]]
    before = [path for i, (path, shape) in enumerate(calls)
              if i < last and path in once and shape is not None and len(shape) in (2, 4)]  # fmt: skip
    if inner[-1][1] == before[-1] and len(inner) > 3:  # pooled by no module: the last map is what it reads
        inner = inner[:-1]
    early, middle = (_ending(inner, reduction, input_size) for reduction in (_EARLY, _MIDDLE))
    if early == middle:  # a network of few sizes: the last map that is larger
        sizes = {path: shape[-1] for _, path, shape in inner}
        larger = [path for path, size in sizes.items() if size > sizes[middle]]
        early = larger[-1] if larger else early
    chosen = {"stem": stem, "early": early, "middle": middle, "late": inner[-1][1],
              "penultimate": before[-1]}  # fmt: skip
    if len(set(chosen.values())) != len(STAGES):
        raise UserError(f"{name}: its stages cannot be told apart ({chosen})")
    return chosen


def _ending(maps: list[tuple[int, str, tuple[int, ...]]], reduction: int, input_size: int) -> str:
    """The last module whose map is smaller than the input by ``reduction``, or by the nearest there is."""

    def distance(shape: tuple[int, ...]) -> float:
        return round(abs(math.log2(input_size / shape[-1] / reduction)), 1)

    nearest = min(distance(shape) for *_, shape in maps[:-1])
    return [path for _, path, shape in maps[:-1] if distance(shape) == nearest][-1]


@torch.no_grad()
def record(network: nn.Module, size: int, channels: int = 3) -> list[tuple[str, tuple[int, ...] | None]]:
    """(path, shape of the output) of every call, in the order in which calls end; no tensor is None."""
    calls: list[tuple[str, tuple[int, ...] | None]] = []
    handles = [
        module.register_forward_hook(
            lambda _m, _i, out, path=path: calls.append(
                (path, tuple(out.shape) if isinstance(out, Tensor) else None)
            )
        )
        for path, module in network.named_modules()
        if path
    ]
    try:
        network(torch.zeros(1, channels, size, size))
    finally:
        for handle in handles:
            handle.remove()
    return calls


@torch.no_grad()
def with_stem(network: nn.Module, name: str, paths: dict[str, str], input_size: int) -> Architecture:
    """What a front-end must know of such a network: its stem, the chain of modules from the image to the end
    of the stage ``stem``, found by running it.

    Raises UserError if the modules up to there are no chain, so that nothing can stand in their place.
    """
    seen: list[tuple[str, Tensor]] = []
    stem = paths["stem"]
    handles = [module.register_forward_hook(lambda _m, _i, out, path=path: seen.append((path, out)))
               for path, module in network.named_modules()
               if path == stem or not any(True for _ in module.children())]  # fmt: skip
    inputs: list[Tensor] = []
    image = torch.rand(1, 3, input_size, input_size, generator=torch.Generator().manual_seed(0))
    try:
        network(image)
        names = [path for path, _ in seen]
        end = names.index(stem)
        chain = [path for path in names[:end] if not path.startswith(f"{stem}.")] + [stem]
        first = network.get_submodule(chain[0])
        handles.append(first.register_forward_pre_hook(lambda _m, given: inputs.append(given[0])))
        network(image)
    finally:
        for handle in handles:
            handle.remove()
    x = inputs[0]
    try:
        for path in chain:
            x = network.get_submodule(path)(x)
        same = torch.allclose(x, seen[end][1], atol=1e-5)
    except (RuntimeError, TypeError):
        same = False
    if not same or len(set(chain)) != len(chain):
        raise UserError(f"{name}: no front-end fits, since {', '.join(chain)} is no chain of modules")
    stride = max(1, round(math.sqrt(input_size**2 / (x.shape[-1] * x.shape[-2]))))
    return Architecture(
        name=name, make=type(network), family=name, year=0, paper="", parameters=None, input_size=input_size,
        smallest=8, stages=paths, stem=Stem(tuple(chain), stride, x.shape[1]),
    )  # fmt: skip
