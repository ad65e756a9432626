"""What is known of each architecture, and the one way to build it.

A family file registers its entries with ``register``; the rest of the library asks :func:`names`,
:func:`get` and :func:`build`. Settings are checked here, before a weight is drawn, so that a wrong one costs
a line of text and no work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import nn

from robustness.errors import UserError, nearest
from robustness.registry import Registry

STAGES = ("stem", "early", "middle", "late", "penultimate")
"""The canonical stages, in the order in which an image passes them."""

SMALLEST_WIDTH, LARGEST_WIDTH = 1 / 16, 8.0


@dataclass(frozen=True)
class Stem:
    """What a front-end replaces: everything up to the first non-linearity and what belongs to it.

    ``modules`` are dotted paths, called one after another on one tensor at the start of ``forward``; together
    they divide height and width by ``stride`` (borders apart) and give ``channels`` channels at width 1.
    """

    modules: tuple[str, ...]
    stride: int
    channels: int


@dataclass(frozen=True)
class Option:
    """One keyword of :func:`build` that an architecture takes beside the common ones.

    ``choices`` lists the allowed values; else the value is a number of the default's kind (``int`` or
    ``float``) between ``low`` and ``high``, both included.
    """

    default: object
    meaning: str
    choices: tuple[object, ...] | None = None
    low: float | None = None
    high: float | None = None

    def allowed(self) -> str:
        """The allowed values in words, for messages and tables."""
        if self.choices is not None:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def accepts(self, value: object) -> bool:
        """Whether ``value`` is allowed. ``True`` and ``1`` are different values here."""
        if self.choices is not None:
            return any(value == choice and type(value) is type(choice) for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if isinstance(self.default, int) and not isinstance(value, int):
            return False
        return math.isfinite(value) and self.low <= value <= self.high


def switch(default: bool, meaning: str) -> Option:
    """An option that is on or off."""
    return Option(default, meaning, choices=(True, False))


def choice(default: object, choices: tuple[object, ...], meaning: str) -> Option:
    """An option with a closed list of values."""
    return Option(default, meaning, choices=choices)


def number(default: float, low: float, high: float, meaning: str) -> Option:
    """A numeric option; whole if its default is an ``int``."""
    return Option(default, meaning, low=low, high=high)


BN_MOMENTUM = number(0.1, 0.0001, 1, "weight of a new batch in the running statistics of batch normalisation")
"""The option ``bn_momentum``, which :func:`build` itself sees to."""

SMALL_STEM = switch(
    False,
    "for images of 32 pixels: first convolution 3x3 at stride 1, no pooling in the stem, no stem cells",
)
"""The option ``small_stem``: how nets are fitted to CIFAR (He et al. 2015, section 4.2, for ResNet)."""
SMALL_IMAGE = 32


@dataclass(frozen=True)
class Architecture:
    """One entry: the published facts, where to look inside the built network, and how to build it.

    ``parameters`` is the published count of trainable parameters at ``classes`` classes, ``channels`` input
    channels, ``input_size`` pixels and the published options (None where no count is published).
    ``stages`` maps each of :data:`STAGES` to the dotted path of a module that is called exactly once a
    forward pass and gives a tensor. ``smallest`` is the least image size that the published strides allow;
    ``pretrained`` is the name under which timm or torchvision keeps weights with the same keys, or None.

    Raises ValueError for stages that are not canonical.
    """

    name: str
    make: Callable[..., nn.Module] = field(repr=False)
    family: str
    year: int
    paper: str
    parameters: int | None
    input_size: int
    smallest: int
    stem: Stem
    stages: Mapping[str, str]
    options: Mapping[str, Option] = field(default_factory=dict)
    classes: int = 1000
    channels: int = 3
    pretrained: str | None = None

    def __post_init__(self) -> None:
        if tuple(self.stages) != STAGES:
            raise ValueError(f"architecture {self.name} must name the stages {', '.join(STAGES)}, in order")
        if self.stages["stem"] != self.stem.modules[-1]:
            raise ValueError(f"architecture {self.name}: stage stem must be the last of the stem modules")

    @property
    def module(self) -> str:
        """The family's file, without ``.py``."""
        return getattr(self.make, "func", self.make).__module__.rpartition(".")[2]

    def as_built(self, options: Mapping[str, object]) -> Architecture:
        """The entry of a network that is built with these options, which may change its stem's stride."""
        return replace(self, stem=replace(self.stem, stride=1)) if options.get("small_stem") else self

    def check(
        self,
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: float,
        options: Mapping[str, object],
    ) -> None:
        """Raise UserError where one of the common settings is not allowed (with these options)."""
        smallest = SMALL_IMAGE if options.get("small_stem") else self.smallest
        for key, value, least in (
            ("num_classes", num_classes, 2),
            ("in_channels", in_channels, 1),
            ("image_size", image_size, smallest),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                why = ", below which its strides leave nothing" if key == "image_size" else ""
                raise UserError(
                    f"{self.name}: {key} is {value!r}; allowed is a whole number from {least} up{why}"
                )
        ok = isinstance(width, (int, float)) and not isinstance(width, bool)
        if not ok or not SMALLEST_WIDTH <= width <= LARGEST_WIDTH:
            raise UserError(
                f"{self.name}: width is {width!r}; allowed is a number from {SMALLEST_WIDTH:g} "
                f"to {LARGEST_WIDTH:g} (1 is the published network)"
            )

    def complete(self, options: Mapping[str, object]) -> dict[str, object]:
        """The options with the published defaults filled in; UserError for an unknown or wrong one."""
        for key, value in options.items():
            if key not in self.options:
                known = nearest(key, self.options) if self.options else "it takes none"
                raise UserError(f"{self.name}: there is no option {key!r}; {known}")
            if not self.options[key].accepts(value):
                raise UserError(
                    f"{self.name}: option {key} is {value!r}; allowed is {self.options[key].allowed()}"
                )
        return {key: options.get(key, option.default) for key, option in self.options.items()}


ARCHITECTURES: Registry[Architecture] = Registry("architecture", Architecture)
register, get = ARCHITECTURES.register, ARCHITECTURES.get


def names() -> tuple[str, ...]:
    """All names, oldest family first."""
    return tuple(entry.name for entry in sorted(ARCHITECTURES, key=lambda each: (each.year, each.family)))


def build(
    name: str,
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int,
    width: float = 1.0,
    **options: object,
) -> nn.Module:
    """A freshly initialised network, in training mode.

    It takes normalised images (N, in_channels, image_size, image_size) float32 and gives logits
    (N, num_classes). ``width`` multiplies the channel counts; ``options`` are those of the entry, each with
    the published value as its default. Weights are drawn from torch's global generator, which the caller
    seeds.

    Raises UserError for an unknown name, an unknown option or a value that is not allowed.
    """
    architecture = get(name)
    architecture.check(num_classes, in_channels, image_size, width, options)
    settings = architecture.complete(options)
    bn_momentum = settings.pop("bn_momentum", None)
    network = architecture.make(
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        width=float(width),
        **settings,
    )
    for module in network.modules():
        if bn_momentum is not None and isinstance(module, nn.BatchNorm2d):
            module.momentum = bn_momentum
    return not_in_place(network)


def not_in_place(network: nn.Module) -> nn.Module:
    """The network, its in-place activations made ordinary ones: those would change what a hook before them
    has seen, and what a skip adds."""
    for module in network.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    return network
