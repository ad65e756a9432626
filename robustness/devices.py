"""Where the work runs: ``auto`` means CUDA where there is one, else the CPU."""

from __future__ import annotations

import torch

from robustness.errors import UserError


def resolve(name: str = "auto") -> torch.device:
    """The torch device for a setting such as ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    On a GPU float32 is float32 from here on: torch would let convolutions round to TF32, 10 bits, which
    can turn a verdict. Raises UserError if the name is unknown to torch or names a CUDA device that is not
    there.
    """
    torch.backends.cudnn.allow_tf32 = False
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device: {name!r} is no torch device; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device: {name!r} is asked for, but torch sees {torch.cuda.device_count()} CUDA devices; "
            "use auto or cpu"
        )
    return device
