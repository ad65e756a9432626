"""What question 4 says and draws of the stems' tuning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import hand_made
import numpy as np
import pytest
from matplotlib.figure import Figure

from robustness.report.plots import distributions, style
from robustness.report.probes.tuning import TITLES
from robustness.report.sections import physiology

MODELS = {
    "alexnet": hand_made.model("alexnet"),
    "lenet5": hand_made.model("lenet5"),
    "alexnet_vone": hand_made.model("alexnet", "vone"),
    "alexnet_random": hand_made.model("alexnet", "random"),
}
VALUES = {
    ("alexnet", "stem"): (0.5, 0.85),
    ("lenet5", "stem"): (0.4, 0.75),
    ("alexnet_vone", "cells"): (0.74, 0.93),
    ("alexnet_random", "cells"): (0.6, 0.93),
}


def scores() -> dict[tuple[str, str], tuple[float, float, float]]:
    return {
        (name, f"probe/tuning/{layer}/{metric}"): (value, np.nan, np.nan)
        for (name, layer), pair in VALUES.items()
        for metric, value in zip(("v1_likeness", "v1_likeness_ceiling"), pair, strict=True)
    }


def arrays(layer: str, values: list[float]) -> dict[str, np.ndarray]:
    found = {}
    for name in TITLES:
        found[f"published/{name}/edges"] = np.array([0.25, 0.5, 1.0])
        found[f"published/{name}/counts"] = np.array([3, 1])
        for each in {"stem", layer}:
            found[f"{each}/{name}"] = np.array(values)
    return found


def test_likeness_is_told_by_kind_of_stem_with_what_as_few_cells_would_have() -> None:
    answer = physiology.answer(hand_made.context(MODELS, scores()))
    assert answer.text == (
        "V1-likeness by tuning to gratings (0 to 1): learned stems 0.45 (0.40 to 0.50; as few cells of "
        "V1: 0.80), the cells of the Gabor bank 0.74 (as few cells of V1: 0.93) and random filters in their "
        "place 0.60 (as few cells of V1: 0.93)."
    )
    assert physiology.answer(hand_made.context(MODELS, {("alexnet", "clean/accuracy"): (1, 1, 1)})) is None


def test_every_model_has_its_row_and_what_it_lacks_is_empty() -> None:
    table = physiology.table(hand_made.context(MODELS, scores()))
    assert [column.title for column in table.columns][1:] == [
        "likeness", "ceiling", "likeness, cells", "ceiling, cells",
    ]  # fmt: skip
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert rows["alexnet"] == ["0.50", "0.85", "–", "–"]
    assert rows["alexnet_vone"] == ["–", "–", "0.74", "0.93"]


def test_the_figure_holds_learned_stems_and_the_cells_of_banks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []

    @contextmanager
    def kept(*arguments: object) -> Iterator[Figure]:
        drawn.append(Figure())
        yield drawn[-1]

    monkeypatch.setattr(style, "figure", kept)
    monkeypatch.setattr(style, "legend", lambda figure, entries: setattr(figure, "entries", list(entries)))
    for name in MODELS:
        place = tmp_path / name / "probe"
        place.mkdir(parents=True)
        layer = "stem" if MODELS[name]["frontend"] == "learned" else "cells"
        np.savez(
            place / "tuning.npz", **arrays(layer, [0.3, 0.9, np.nan, 4.0] if name == "alexnet" else [0.5] * 3)
        )
    context = hand_made.context(MODELS, scores())
    inputs = replace(context.inputs, pictures={name: tmp_path / name for name in MODELS})
    assert physiology.figure(replace(context, inputs=inputs, folder=tmp_path)) is not None
    (made,) = drawn
    assert made.entries == [
        "macaque V1",
        "alexnet",
        "other learned",
        "random",
        "vone",
    ]
    panel = made.axes[0]
    assert len(panel.lines) == 5
    np.testing.assert_allclose(panel.lines[0].get_xydata(), [[0.25, 0], [0.5, 0.75], [1, 1]])
    alexnet = panel.lines[2].get_xydata()
    np.testing.assert_allclose(alexnet, [[0.25, 0], [0.3, 1 / 3], [0.9, 2 / 3], [1, 1], [1, 1]])


def test_a_line_of_one_unit_is_not_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = Figure()
    axes = made.subplots()
    panel = distributions.Panel("x", np.array([0.0, 1.0]), np.array([1]), {"a": np.array([0.5, np.nan])})
    distributions._panel(axes, panel, {"a": {}})
    assert len(axes.lines) == 1
