"""Pieces that the families before batch normalisation share: AlexNet, ZFNet, VGG, GoogLeNet."""

from __future__ import annotations

from torch import nn

from robustness.architectures.registry import Option, choice, number, switch


def convolution(
    in_channels: int, out_channels: int, kernel_size: int, *, batch_norm: bool = False, **settings: int
) -> nn.Module:
    """A convolution with a bias; with ``batch_norm`` a pair (convolution without a bias, batch norm)."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, bias=not batch_norm, **settings)
    return nn.Sequential(layer, nn.BatchNorm2d(out_channels)) if batch_norm else layer


def initialise(network: nn.Module, scheme: str) -> None:
    """Draw the weights of all convolutions and linear layers; biases become 0.

    ``gaussian``: standard deviation 0.01 (AlexNet, ZFNet, VGG). ``glorot``: uniform, Glorot and Bengio 2010.
    ``he``: normal, He et al. 2015, which keeps the scale of the activations through many ReLUs.
    """
    for module in network.modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        if scheme == "gaussian":
            nn.init.normal_(module.weight, std=0.01)
        elif scheme == "glorot":
            nn.init.xavier_uniform_(module.weight)
        else:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def options(*, dropout: float, initialisation: str) -> dict[str, Option]:
    """The options that these families share, with the paper's dropout and initialisation as defaults."""
    return {
        "dropout": number(
            float(dropout), 0, 0.95, "chance that a unit of a fully connected layer is silenced"
        ),
        "initialisation": choice(
            initialisation, ("gaussian", "glorot", "he"), "how the weights are drawn before training"
        ),
        "batch_norm": switch(False, "batch normalisation after each convolution (later than the paper)"),
    }
