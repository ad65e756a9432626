"""The statistical figures: they show the values and intervals that they were given, the same every time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from robustness.report.inputs import ReportInputs, Score
from robustness.report.model_table import Model, ModelTable
from robustness.report.plots.dots import DotPanel, dot_rows, model_rows
from robustness.report.plots.heat_maps import sphere_maps
from robustness.report.plots.lines import curve_panels


@pytest.fixture(scope="module")
def models(whole_inputs: ReportInputs) -> list[Model]:
    """The two models of the smaller architecture."""
    return ModelTable.of(whole_inputs).of_architecture("alexnet")


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], None]], Figure]:
    """Draws twice, holds the files to equal bytes, and gives the figure."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, path: Path, **how: object) -> None:
        figures.append(figure)
        save(figure, path, **how)

    monkeypatch.setattr(Figure, "savefig", keep)

    def drawn(plot: Callable[[Path], None]) -> Figure:
        paths = [tmp_path / f"{name}.svg" for name in ("first", "second")]
        for path in paths:
            plot(path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
        return figures[0]

    return drawn


def test_dots_show_each_value_with_the_interval_that_it_has(draw: Callable, models: list[Model]) -> None:
    scores = [Score(0.5, 0.4, 0.7), Score(0.2, 0.1, 0.25)]
    panels = [DotPanel("accuracy", scores, [(0.1, "chance")]), DotPanel("drop", [None, Score(0.3, 0.3, 0.6)])]
    figure = draw(lambda path: dot_rows(path, model_rows(models), panels))
    found = []
    for axes in figure.axes:
        bars = [line for c in axes.collections if isinstance(c, LineCollection) for line in c.get_segments()]
        dots = [xy for c in axes.collections if isinstance(c, PathCollection) for xy in c.get_offsets()]
        ends = sorted((min(bar[:, 0]), max(bar[:, 0])) for bar in bars)
        found.append(([x for pair in ends for x in pair], sorted(x for x, _ in dots)))
    assert found == [
        (pytest.approx([10, 25, 40, 70]), pytest.approx([20, 50])),
        (pytest.approx([30, 60]), pytest.approx([30])),
    ]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [m.name for m in models]
    assert [axes.get_xlabel() for axes in figure.axes] == ["accuracy", "drop"]


def test_curves_show_the_values_and_the_bands_that_they_were_given(
    draw: Callable, models: list[Model]
) -> None:
    rows = [(m.name, level, 80 - level, 70 - level, 95 - level) for m in models for level in (0, 10, 40)]
    curves = pd.DataFrame(rows, columns=["model", "level", "value", "low", "high"])
    figure = draw(lambda path: curve_panels(path, curves, models, x_label="x", y_label="y", chance=0.1))
    (axes,) = figure.axes
    assert axes.get_title("left") == "alexnet"
    drawn = [[[0, 80], [10, 70], [40, 40]]] * len(models)
    assert [own for line in axes.lines if len(own := line.get_xydata().tolist()) == 3] == drawn
    grey, *bands = axes.collections
    assert [path.vertices.tolist() for path in grey.get_paths()] == drawn
    for band in bands:
        points = {tuple(point) for point in band.get_paths()[0].vertices}
        assert points == {(x, y - x) for x in (0, 10, 40) for y in (70, 95)}
    assert len(bands) == len(models)


def test_spheres_have_the_horizon_below_and_one_scale(draw: Callable) -> None:
    grid = pd.DataFrame([[0.1, 0.2, 0.3], [0.4, 0.5, 1.0]], index=[0.0, 45.0], columns=[0.0, 90.0, 180.0])
    figure = draw(lambda path: sphere_maps(path, {"a": grid, "b": grid / 2}))
    for axes, values in zip(figure.axes, (grid, grid / 2), strict=False):
        (mesh,) = axes.collections
        assert mesh.get_clim() == (0, 100)
        assert mesh.get_array().reshape(2, 3).tolist() == (100 * values.iloc[::-1]).to_numpy().tolist()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["45", "0"]
