"""Pictures of saliency, and the curves of deletion and insertion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustness.report.plots import style
from robustness.report.probes.canvas import class_name, sheet
from robustness.report.probes.registry import register

METHODS = {
    "gradient": "gradient",
    "guided": "guided",
    "integrated": "integrated",
    "smoothgrad": "SmoothGrad",
    "grad_cam": "Grad-CAM",
}
COLOURS = dict(zip(METHODS, ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"), strict=True))
COLOURS["random"] = "#888888"
IMAGES = 5


@register("saliency")
def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``saliency.png``: one column per image, one row per method; ``saliency_curves.svg``: mean probability
    while the most salient pixels are taken away or put in."""
    path, curves = folder / "saliency.png", folder / "saliency_curves.svg"
    count = min(IMAGES, len(arrays["images"]))
    note = "" if int(arrays["rectifiers"]) else " (no ReLU)"
    width = style.PAGE_WIDTH / 2
    with sheet(path, 1 + len(METHODS), IMAGES, width=width, label=0.13, head=0.13) as made:
        for index in range(count):
            made.above(0, index, class_name(classes, int(arrays["labels"][index])), 7)
            made.image(0, index, arrays["images"][index].transpose(1, 2, 0))
            for row, method in enumerate(METHODS, start=1):
                values = arrays[f"{method}/maps"][index].astype(float)
                top = np.percentile(values, 99.5) or 1.0
                made.image(row, index, np.clip(values / top, 0, 1)[..., None].repeat(3, 2))
        for row, (method, name) in enumerate(METHODS.items(), start=1):
            made.beside(row, name + (note if method == "guided" else ""), 6)
    edges = {"left": 0.1, "right": 0.98, "bottom": 0.2, "top": 0.89, "wspace": 0.1}
    with style.figure(curves, style.PAGE_WIDTH * 0.6, 1.6, edges) as figure:
        for axes, kind in zip(figure.subplots(1, 2, sharey=True), ("deletion", "insertion"), strict=True):
            for method, colour in COLOURS.items():
                values = arrays[f"{method}/{kind}"].mean(0)
                share = np.linspace(0, 100, len(values))
                axes.plot(share, values, color=colour, label=METHODS.get(method, method))
            axes.set_title(kind)
            axes.set_xlabel("pixels taken away (%)" if kind == "deletion" else "pixels put in (%)")
            axes.set_ylim(0, 1.03)
        figure.axes[0].set_ylabel("P(class)")
        figure.axes[1].legend(loc="lower right")
    return [path, curves]
