"""The network that weights belong to, and what comes with them: input size, crop, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from robustness import architectures
from robustness.architectures import Architecture
from robustness.architectures.registry import not_in_place
from robustness.errors import UserError, nearest
from robustness.weights import cifar_resnet, efficientnet_lite, reading, user_network
from robustness.weights.source import Source

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 1000
CIFAR = "cifar"
"""Stands for the library of ``cifar_resnet``."""


@dataclass(frozen=True)
class Traits:
    """The input that weights expect: size in pixels, mean and std per channel of images in [0, 1]."""

    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def entry_of(library: str, name: str) -> Architecture | None:
    """The registry's entry of the same network, whose weights have the names of ``library``'s model (its tag
    aside), or None."""
    if library in ("registry", CIFAR):
        return architectures.get(name).as_built(cifar_resnet.OPTIONS if library == CIFAR else {})
    wanted = f"{library}/{name.split('.')[0]}"
    for known in architectures.names():
        entry = architectures.get(known)
        if entry.pretrained == wanted:
            return entry
    return None


def library_of(source: Source, architecture: str | None) -> tuple[str, str]:
    """(timm, torchvision, registry or cifar; name there) of the network that ``source`` fills.

    ``architecture`` names the network of a file: a registry entry, ``timm:<name>`` or
    ``torchvision:<name>``. Raises UserError if it is missing for a file, or contradicts the weights.
    """
    if source.kind == "file":
        if architecture is None:
            raise UserError(f"{source}: say in architecture which network the file's weights belong to")
        kind, colon, name = architecture.partition(":")
        if colon and kind not in ("timm", "torchvision"):
            raise UserError(f"architecture: {architecture!r} is neither timm:<name> nor torchvision:<name>")
        if not colon:
            architectures.get(architecture)
        return (kind, name) if colon else ("registry", architecture)
    library, name = source.kind, source.name
    if library == "python":
        user_network.split(name)
        return library, name
    if source.name == cifar_resnet.NAME:
        library, name = CIFAR, cifar_resnet.ARCHITECTURE
    elif source.kind == "package":
        library, name = "timm", f"tf_{source.name}"
    known = {title(library, name), source.name}
    if architecture is not None and architecture not in known:
        raise UserError(
            f"architecture: {architecture!r} is not the network of {source}; leave architecture out"
        )
    return library, name


def title(library: str, name: str) -> str:
    """The architecture's name in tables: the registry's where it has the network, else the library's."""
    if library in ("registry", CIFAR):
        return name
    entry = entry_of(library, name)
    return entry.name if entry else name.split(".")[0]


def read(source: Source, library: str, name: str, network: nn.Module) -> dict[str, Tensor]:
    """The weights, under the network's own names. Raises UserError in one line if they cannot be loaded."""
    if library == CIFAR:
        return cifar_resnet.renamed(reading.read_state(cifar_resnet.package_file(), source.sha256))
    if source.kind == "package":
        path = efficientnet_lite.package_file(source.name)
        return efficientnet_lite.renamed(reading.read_state(path, source.sha256), network)
    if source.kind == "file":
        return reading.read_state(Path(source.name).expanduser(), source.sha256)
    return _downloaded(library, name)


def traits(library: str, name: str) -> Traits:
    """Input size and normalisation that the library gives with a model's weights; ImageNet's for ours."""
    if library == CIFAR:
        return Traits(cifar_resnet.INPUT_SIZE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    if library == "timm":
        settings = _timm_settings(name)
        if not settings.get("mean"):
            raise UserError(f"weights timm:{name}: timm does not say how its images are normalised")
        return Traits(settings["input_size"][-1], tuple(settings["mean"]), tuple(settings["std"]))
    if library == "torchvision":
        preset = _torchvision_weights(name).transforms()
        return Traits(preset.crop_size[0], tuple(preset.mean), tuple(preset.std))
    return Traits(architectures.get(name).input_size, IMAGENET_MEAN, IMAGENET_STD)


def build(library: str, name: str, image_size: int, classes: int = CLASSES) -> nn.Module:
    """The network without its weights, in evaluation mode: the registry's where it has the same one.

    Raises UserError for a name that the library does not have.
    """
    entry = entry_of(library, name)
    if entry is not None:
        options = cifar_resnet.OPTIONS if library == CIFAR else {}
        return architectures.build(entry.name, num_classes=classes, image_size=image_size, **options).eval()
    if library == "timm":
        import timm

        _timm_settings(name)
        network = timm.create_model(name, pretrained=False, num_classes=classes)
    else:
        import torchvision

        extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
        _torchvision_weights(name)
        network = torchvision.models.get_model(name, weights=None, num_classes=classes, **extra)
    return not_in_place(network).eval()


def _timm_settings(name: str) -> dict:
    import timm
    from timm.models import get_pretrained_cfg

    settings = get_pretrained_cfg(name) if timm.is_model(name) else None
    if settings is None:
        raise UserError(f"weights timm:{name}: timm has no such model; {_near(name, timm.list_models())}")
    return settings.to_dict()


def _torchvision_weights(name: str):
    import torchvision

    models = torchvision.models.list_models(module=torchvision.models)
    if name not in models:
        raise UserError(f"weights torchvision:{name}: torchvision has no such model; {_near(name, models)}")
    # The first weights: those that the published accuracies belong to, and that fit the registry's networks.
    return next(iter(torchvision.models.get_model_weights(name)))


def _near(name: str, known: Sequence[str]) -> str:
    found = nearest(name, known)
    return found if found.startswith("did you mean") else "look the name up in the library's list"


def _downloaded(library: str, name: str) -> dict[str, Tensor]:
    """The library's own download, from its cache where it was made before."""
    try:
        if library == "timm":
            import timm

            return timm.create_model(name, pretrained=True).state_dict()
        state = _torchvision_weights(name).get_state_dict(progress=True, check_hash=True)
        return {key: value for key, value in state.items() if not key.startswith(("aux", "AuxLogits"))}
    except (
        Exception
    ) as error:  # the libraries raise what their clients raise: URLError, HTTPError, hub errors
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f"weights {library}:{name}: cannot be downloaded ({reason}); connect to the network once, or "
            "bring the file and name it as file:<path>"
        ) from error
