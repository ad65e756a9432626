"""Adversarial examples of one model as a picture: clean, attacked, and their difference, from its arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustness.errors import UserError
from robustness.report import conditions
from robustness.report.context import ReportContext
from robustness.report.image_grid import image_grid, save_png, to_bytes
from robustness.report.model_table import Model
from robustness.report.pictures import read_arrays

SHOWN = 6


@dataclass(frozen=True)
class Examples:
    """A picture in three rows (clean, attacked, difference), its title and what explains it."""

    path: Path
    title: str
    note: str


def draw(context: ReportContext, model: Model) -> Examples | None:
    """The picture for the L∞ budget of the summary or the nearest one, from ``attack/images.npz`` of the
    model's results.

    Successfully attacked images come first. None where the run kept no adversarial images.
    """
    folder = context.inputs.pictures.get(model.name)
    source = folder / "attack" / "images.npz" if folder else None
    arrays = read_arrays(source) if source else None
    budgets = [float(key.partition("/")[2]) for key in arrays or () if key.startswith("linf/")]
    summary = conditions.reference_budget(context.inputs)
    if not budgets or summary is None:
        return None
    epsilon = min(budgets, key=lambda value: abs(value - summary[0] / 255))
    try:
        clean, rows, attacked = (arrays[key] for key in ("clean", "rows", f"linf/{epsilon:.6g}"))
    except KeyError as error:
        raise UserError(f"{source}: lacks the array {error}; remove it and run dvc repro") from error
    count = min(len(clean), len(attacked), len(rows))
    table = context.inputs.whole_attacks
    near = np.isclose(table["epsilon"], epsilon, rtol=1e-3)
    own = table[(table["model"] == model.name) & (table["norm"] == "linf") & near]
    robust, right = (own.set_index("sample")[column] for column in ("robust", "clean_correct"))
    broken = [bool(right.get(row, False) and not robust.get(row, False)) for row in rows[:count]]
    order = np.argsort(~np.array(broken, dtype=bool), kind="stable")[:SHOWN]
    difference = 0.5 + (attacked[order] - clean[order]) * 0.5 / epsilon
    tiles = [list(to_bytes(part)) for part in (clean[order], attacked[order], difference)]
    path = save_png(image_grid(tiles), context.pictures_of(model) / "adversarial.png")
    fooled = sum(np.array(broken)[order])
    outcome = f"The first {fooled} are misclassified." if fooled else "None of these is misclassified."
    note = f"Rows: clean, attacked, difference (grey: none, full range: ±ε). {outcome}"
    return Examples(path, f"Adversarial examples, L∞ {255 * epsilon:.3g}/255", note)
