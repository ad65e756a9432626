"""The league of front-ends, and whether V1 beats noise on the pixels: from hand-made numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import hand_made
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from robustness.report.context import ReportContext
from robustness.report.inputs import TABLES
from robustness.report.model_table import ModelTable
from robustness.report.sections import frontend, league

ARCHITECTURES = ("alexnet", "resnet18", "mobilenet_v1")
CLEAN = "clean/accuracy"
GAINS = {"vone": 0.2, "random": -0.1, "image_noise": 0.05, "push_pull": 0.01}
"""Front-end → its mean effect on the robust area; its interval is ten points to either side."""


def effect(a: str, b: str, metric: str, value: float, verdict: str = "higher", needed: float = 9) -> tuple:
    axis = "frontend" if b else "mean"
    bounds, counts = (value - 0.1, value + 0.1), (3, 1, 50)
    return (axis, a, b, "canonical", metric, value, *bounds, *counts, verdict, needed, np.inf)


def run(names: tuple[str, ...] = ("learned", *GAINS), extra: tuple[tuple, ...] = ()) -> ReportContext:
    """Three architectures with these front-ends, and what each changes on average."""
    models = {f"{a}_{n}": hand_made.model(a, n) for a in ARCHITECTURES for n in names}
    scores = {(model, CLEAN): (0.5, 0.4, 0.6) for model in models}
    likeness = dict(zip(ARCHITECTURES, (0.5, 0.6, 0.7), strict=True))
    for layer, name in (("cells", "vone"), ("stem", "vone"), ("stem", "learned")):
        for architecture, value in likeness.items():
            value -= 0.3 * (layer == "stem")
            for metric, shown in (("v1_likeness", value), ("v1_likeness_ceiling", 0.9)):
                scores[f"{architecture}_{name}", f"probe/tuning/{layer}/{metric}"] = (shown, shown, shown)
    for name, level in (("vone", 0.11), ("image_noise", 0.1)):
        scores |= {(f"{a}_{name}", league.NOISE_LEVEL): (level, level, level) for a in ARCHITECTURES}
    gains = [name for name in names if name != "learned"]
    comparisons = [
        (f"{a}_{n}", f"{a}_learned", league.AREA, GAINS[n], GAINS[n] - 0.1, GAINS[n] + 0.1)
        for a in ARCHITECTURES
        for n in gains
    ]
    made = hand_made.context(models, {k: v for k, v in scores.items() if k[0] in models}, comparisons)
    effects = [effect("learned", "", league.AREA, 0.3)]
    verdicts = {n: "undecided" if abs(GAINS[n]) < 0.1 else "higher" for n in gains}
    effects += [effect(n, "learned", league.AREA, GAINS[n], verdicts[n]) for n in gains]
    table = pd.DataFrame([*effects, *extra], columns=list(TABLES["effects"]))
    costs = {"learned": 100.0, "vone": 150.0}
    facts = pd.DataFrame(
        [{"model": m, **f, "width": 1.0, "parameters": 100, "epochs": 1,
          "multiply_adds": costs.get(f["frontend"], 100.0)} for m, f in models.items()]
    )  # fmt: skip
    inputs = replace(made.inputs, effects=table, models=facts)
    return replace(made, inputs=inputs, models=ModelTable.of(inputs))


def test_the_league_has_one_row_per_front_end_the_most_robust_first() -> None:
    table = league.table(run())
    assert [column.title for column in table.columns] == [
        "front-end", "over", "robust area", "V1-likeness", "noise", "cost (×)",
    ]  # fmt: skip
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert list(rows) == ["vone", "image noise", "push pull", "learned", "random"]
    assert rows["learned"][:2] == ["3", "30.0 [20.0, 40.0]"]
    # Student's interval of 0.5, 0.6, 0.7: 4.303 × 0.1 / √3 to either side; of the cells, not of the stem.
    assert rows["vone"] == ["3", "+20.0 [+10.0, +30.0]", "0.60 [0.35, 0.85]", "0.11 [0.11, 0.11]", "1.50"]
    assert rows["learned"][2:] == ["0.30 [0.05, 0.55]", "–", "1.00"]
    assert rows["random"][2:] == ["–", "–", "1.00"]
    tones = {row[0].text: row[2].tone for row in table.rows}
    assert (tones["vone"], tones["push pull"]) == ("", "muted")


def test_three_front_ends_are_no_league() -> None:
    assert league.table(run(("learned", "vone", "random"))) is None


BEATS = "A V1 front-end beats noise on the pixels at equal clean accuracy; it is "
DOES_NOT = "A V1 front-end does not beat noise on the pixels at equal clean accuracy; it is "
DIFFER = "is undecided, as their clean accuracies differ; it is "
NEEDED = "about 7 architectures would decide an effect this large"


@pytest.mark.parametrize(
    ("robust", "clean", "words", "status"),
    [
        ("higher", "equivalent", f"{BEATS}more robust, and as accurate, within three points,", "found"),
        ("higher", "higher", f"{BEATS}more robust, and more accurate on clean images: ", "found"),
        ("equivalent", "lower", f"{DOES_NOT}as robust, within three points, and less accurate", "found"),
        ("equivalent", "equivalent", DOES_NOT, "found"),
        ("lower", "equivalent", f"{DOES_NOT}less robust, and as accurate", "found"),
        ("higher", "lower", f"{DIFFER}more robust, and less accurate", "undecided"),
        ("undecided", "lower", f"; of robust accuracy, {NEEDED}.", "undecided"),
        ("higher", "undecided", f"; of clean accuracy, {NEEDED}.", "undecided"),
    ],
)
def test_v1_beats_noise_on_the_pixels_only_where_both_scores_say_so(
    robust: str, clean: str, words: str, status: str
) -> None:
    pair = ("vone", "image_noise")
    extra = (effect(*pair, league.AREA, 0.12, robust, 7), effect(*pair, CLEAN, -0.04, clean, 7))
    answer = league.against_noise(run(extra=extra))
    assert words in answer.text
    assert answer.status == status
    assert "averaged over log ε +12.0 points [+2.0, +22.0], clean accuracy −4.0 points" in answer.text
    assert "their noise is as pixel noise of 0.11 and 0.10 (0 to 1)" in answer.text
    assert answer in frontend._answers(run(extra=extra))


def test_many_undecided_comparisons_share_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Image noise and push-pull are undecided in this run; random filters are not."""
    apart = [answer.text for answer in frontend._answers(run()) if answer.status == "undecided"]
    assert len([text for text in apart if "; about 9 architectures would decide" in text]) == 2
    monkeypatch.setattr(frontend, "FEW", 1)
    answers = frontend._answers(run())
    (shared,) = [answer for answer in answers if answer.text.startswith("Undecided is what 2 exchanges do")]
    assert shared.status == "undecided"
    assert "points [−5.0, +15.0] (9 architectures); " in shared.text
    assert shared.text.endswith("points [−9.0, +11.0] (9 architectures).")
    assert not any("; about 9 architectures would decide" in answer.text for answer in answers)


def test_without_noise_on_the_pixels_there_is_nothing_to_beat() -> None:
    assert league.against_noise(run()) is None


def test_many_front_ends_are_drawn_one_under_the_other_and_few_as_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = replace(run(), folder=tmp_path)
    assert frontend._controls_figures(made) == [None] * 4  # five are curves, of which nothing was measured
    monkeypatch.setattr(league, "MOST_CURVES", 4)
    with kept_figure(monkeypatch) as found:
        (figure,) = frontend._controls_figures(made)
    assert figure.name == "fig-frontend-controls"
    axes = found["figure"].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "vone", "image_noise", "push_pull", "random",
    ]  # fmt: skip
    dots = [x for part in axes.collections if isinstance(part, PathCollection) for x, _ in part.get_offsets()]
    # Three architectures and their mean in every row.
    assert sorted(dots) == pytest.approx(sorted(100 * gain for gain in GAINS.values() for _ in range(4)))


@contextmanager
def kept_figure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, Figure]]:
    """The figure that is saved inside."""
    found: dict[str, Figure] = {}
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: found.update(figure=figure))
    yield found
