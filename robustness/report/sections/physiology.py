"""Of question 4: how like macaque V1 the stems are, learned and fixed, by their tuning to gratings."""

from __future__ import annotations

import numpy as np

from robustness.report.context import ReportContext
from robustness.report.document import Answer, Figure, Table
from robustness.report.model_table import Model
from robustness.report.palette import FRONTEND_COLOURS, OTHER_FRONTEND, OTHERS
from robustness.report.pictures import probe_arrays
from robustness.report.plots.distributions import cumulative_panels
from robustness.report.probes.tuning import V1, panels
from robustness.report.wording import listed, number

NAMED = ("alexnet", "zfnet")
"""Learned stems of large kernels, told from the others, which are grey."""
LIKENESS = "probe/tuning/{}/v1_likeness"
CEILING = "probe/tuning/{}/v1_likeness_ceiling"
COLUMNS = (
    ("likeness", LIKENESS.format("stem")),
    ("ceiling", CEILING.format("stem")),
    ("likeness, cells", LIKENESS.format("cells")),
    ("ceiling, cells", CEILING.format("cells")),
    ("circular variance", "probe/tuning/stem/circular_variance"),
    ("F1/F0", "probe/tuning/stem/modulation_ratio"),
    ("cycles/°", "probe/tuning/stem/preferred_frequency"),
    ("suppression", "probe/tuning/stem/suppression_index"),
    ("contrast saturation", "probe/tuning/stem/contrast_saturation"),
)
CELLS = {
    "vone": "the cells of the Gabor bank",
    "gabor_trained": "those of the bank that was trained on",
    "random": "random filters in their place",
}
"""Front-end → its cells in words; those of ``gabor`` are the Gabor bank's."""
WORDS = (
    "units at the centre of the map answer to drifting gratings, 28 pixels a degree, noise off; the distance "
    "of a property is that of its distribution to the published one of macaque V1 (Kolmogorov–Smirnov, as a "
    "share of the largest possible), and V1-likeness is 1 less the mean distance over the properties that at "
    "least five units have"
)
"""What is measured, in short."""


def figure(context: ReportContext) -> Figure | None:
    """Learned stems, the cells of fixed banks and macaque V1 on one scale."""
    place = context.inputs.pictures
    found = {m.name: arrays for m in context.models if (arrays := probe_arrays(place, m.name, "tuning"))}
    learned = [m for m in context.models.where(frontend="learned", training="canonical") if m.name in found]
    banks = {m.frontend: m for m in reversed(context.models) if _has_cells(found.get(m.name))}
    if not found or not (learned or banks):
        return None
    shown = {m.name: (found[m.name], "stem") for m in learned}
    shown |= {name: (found[m.name], "cells") for name, m in banks.items()}
    named = {m.name: {"color": m.look.colour} for m in learned if m.architecture in NAMED}
    cells = {
        name: {"color": FRONTEND_COLOURS.get(name, OTHER_FRONTEND[0]), "linestyle": m.look.line}
        for name, m in banks.items()
    }
    grey = {m.name: {"color": OTHERS, "linewidth": 0.5} for m in learned if m.name not in named}
    others = {"other learned": next(iter(grey.values()))} if grey else {}
    lines = grey | named | cells
    cumulative_panels(context.figure("tuning"), panels(shown), lines, V1 | named | others | cells)
    return Figure.of(
        "tuning",
        "Tuning of learned stems, and of the cells of fixed banks by front-end, over published distributions "
        "of macaque V1 (Ringach et al. 2002, De Valois et al. 1982, Schiller et al. 1976, Cavanaugh et al. "
        f"2002): share of the units at or below each value; {WORDS}. A line stands in a panel "
        "where its units have the property: suppressed ones alone have a summation field, kernels of 3 × 3 "
        "no bandwidth.",
    )


def table(context: ReportContext) -> Table | None:
    """The likeness of every model's stem, and of the cells in it."""
    known = [(title, metric) for title, metric in COLUMNS if metric in context.inputs.keys]
    caption = (
        f"Tuning of the stems to gratings: {WORDS}. Ceiling: what as many cells drawn from the published "
        "distributions would have. Cells: those of a V1 block, which the bottleneck mixes into the stem's "
        "output. The other columns are means over the stem's units, with 95 % intervals over units."
    )
    return context.score_table("table-tuning", caption, known, html_only=True)


def answer(context: ReportContext) -> Answer | None:
    """The likeness of learned stems, and of the cells of each fixed bank."""
    learned = context.models.where(frontend="learned", training="canonical")
    told = [
        _told(context, "stem", learned, "learned stems"),
        *(
            _told(context, "cells", context.models.where(frontend=name, training="canonical"), words)
            for name, words in CELLS.items()
        ),
    ]
    told = [words for words in told if words]
    return Answer(f"V1-likeness by tuning to gratings (0 to 1): {listed(told)}.") if told else None


def _told(context: ReportContext, layer: str, models: list[Model], words: str) -> str:
    values = [score.value for score, _ in context.ranked(LIKENESS.format(layer), models)]
    ceilings = [score.value for score, _ in context.ranked(CEILING.format(layer), models)]
    if not values:
        return ""
    among = f"{number(min(values))} to {number(max(values))}; " if len(values) > 1 else ""
    ceiling = number(float(np.mean(ceilings)))
    return f"{words} {number(float(np.mean(values)))} ({among}as few cells of V1: {ceiling})"


def _has_cells(arrays: dict[str, np.ndarray] | None) -> bool:
    return arrays is not None and "cells/circular_variance" in arrays
