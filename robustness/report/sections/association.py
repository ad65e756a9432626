"""Question 6: do the visualizations predict the robustness?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from robustness import scores
from robustness.report import conditions
from robustness.report.context import ReportContext
from robustness.report.document import EMPTY, Answer, Cell, Column, Figure, Section, Table, Text, columns
from robustness.report.plots.dots import scatters
from robustness.report.sections.registry import register
from robustness.report.shading import DIVERGING, shaded
from robustness.report.wording import listed, number
from robustness.scores import Key
from robustness.scores.association import MINIMUM

TITLE = "Do the visualizations predict the robustness?"
METHOD = (
    "Every probe number (counts and sizes apart) is correlated with every robustness number: Spearman's ρ "
    "over the models that have both, with an interval that resamples whole architectures, as models of "
    "one architecture are not independent.",
    "Many pairs are tested: a pair is called related only if its ρ stands after a correction over all "
    "pairs (max-T, Westfall & Young: the probability that the best of all pairs is as strong when nothing is "
    "related) and its interval lies off 0; suggestive if only the false discovery rate is held.",
    "A correlation over trained networks is no cause: the column with clean accuracy held constant "
    "shows what is left when the quality of training is taken out.",
)
BOOKKEEPING = ("filters", "kernel_size", "stride", "channels", "gabor_r2_null", "field_share")
"""Probe numbers that describe the probe or the layer's shape and not what was learned, as do all ``…_sd``."""
SHOWN_ROWS = 30
SHOWN_SCATTERS = 6
TARGETS = {
    "pose/drop": "pose drop",
    "clutter/drop": "clutter drop",
    "pose/worst_view_accuracy": "worst view",
    "clutter/bg_gap": "BG-gap",
    "corruption/mce": "corruption error",
    "attack/worst_linf/area": "robust area L∞",
    "attack/worst_l2/area": "robust area L2",
}


@register("association", number=6)
def write(context: ReportContext) -> Section:
    """The section of question 6."""
    table, reason = associate(context)
    blocks = [Text(METHOD, "Method.", "method")]
    if table is None:
        return Section("association", TITLE, 6, [Answer(reason, "missing")], blocks)
    blocks += [_map(context, table), _scatter(context, table), _table(table)]
    return Section("association", TITLE, 6, _answers(table), blocks)


def targets(context: ReportContext) -> dict[str, str]:
    """The robustness numbers of the run: metric → short name, the reference budget among them."""
    wanted = dict(TARGETS)
    budget = conditions.reference_budget(context.inputs)
    if budget is not None:
        wanted[budget[1]] = f"robust at {budget[0]:g}/255"
    return {metric: name for metric, name in wanted.items() if metric in context.inputs.keys}


def associate(context: ReportContext) -> tuple[pd.DataFrame | None, str]:
    """The table of ``robustness.scores.association``; None and the reason where it cannot be made."""
    table = context.inputs.scores
    table = table[table["model"].isin(context.inputs.present)]
    is_probe, number_of = table["shift"] == "probe", table["statistic"].str.split("/").str[-1]
    table = table[~(is_probe & (number_of.isin(BOOKKEEPING) | number_of.str.endswith("_sd")))]
    if not is_probe.loc[table.index].any():
        return None, "No probe numbers are among the scores, so nothing can be said."
    wanted = targets(context)
    if not wanted or len(context.models) < MINIMUM:
        return (
            None,
            f"Too few models or robustness numbers: rank correlations need at least {MINIMUM} models.",
        )
    found = scores.association(
        table,
        "probe/*",
        list(wanted),
        families={model.name: model.architecture for model in context.models},
        seed=context.inputs.seed,
        resamples=context.inputs.resamples,
    )
    found = found[found["rho"].notna()].reset_index(drop=True)
    if found.empty:
        return None, f"No probe number varies over at least {MINIMUM} models that have robustness numbers."
    probes = found["probe_metric"].map(lambda metric: probe_name(context.inputs.keys[metric]))
    return found.assign(target=found["robustness_metric"].map(wanted), probe=probes), ""


def probe_name(key: Key) -> str:
    """A probe's number in short: gabor r2 (filters, stem)."""
    return f"{key.statistic.replace('_', ' ').replace('/', ', ')} ({key.factor}, {key.level})"


def _answers(table: pd.DataFrame) -> list[Answer]:
    related = table[table["verdict"] == "related"]
    suggestive = table[table["verdict"] == "suggestive"]
    tested = len(table)
    if len(related):
        first = related.iloc[0]
        text = (
            f"{len(related)} of {tested} pairs of a probe number and a robustness number are related after "
            f"correction; the strongest is {first['probe']} with {first['target']}: "
            f"ρ = {_rho(first)} over {first['n']} models."
        )
        answers = [Answer(text)]
        held = related[related["partial"].abs() >= 0.5 * related["rho"].abs()]
        text = (
            f"With clean accuracy held constant, {len(held)} of these {len(related)} keep at least half of ρ."
        )
        answers.append(Answer(text))
    else:
        first = table.iloc[0]
        text = (
            f"None of the {tested} pairs of a probe number and a robustness number stands after "
            "correction for so many tests: on these models the visualizations do not predict the "
            f"robustness. The strongest, {first['probe']} with {first['target']}, "
            f"has ρ = {_rho(first)} over {first['n']} models (corrected p = "
            f"{number(first['p_family'])})."
        )
        answers = [Answer(text, "undecided")]
    if len(suggestive):
        names = [f"{row.probe} with {row.target}" for row in suggestive.head(3).itertuples()]
        text = (
            f"{len(suggestive)} more pairs are suggestive (false discovery rate at most 5 %): {listed(names)}"
        )
        answers.append(Answer(text + (", and others." if len(suggestive) > 3 else "."), "undecided"))
    return answers


def _rho(row: pd.Series) -> str:
    return f"{number(row['rho'])} [{number(row['low'])}, {number(row['high'])}]"


def _map(context: ReportContext, table: pd.DataFrame) -> Table:
    """ρ of the leading probe numbers with all robustness numbers, on a diverging scale."""
    probes = list(dict.fromkeys(table["probe_metric"]))[:SHOWN_ROWS]
    names = {
        metric: name for metric, name in targets(context).items() if metric in set(table["robustness_metric"])
    }
    names_of = dict(zip(table["probe_metric"], table["probe"], strict=True))
    cells = {(row.probe_metric, row.robustness_metric): row for row in table.itertuples()}
    rows = [
        [Cell(names_of[probe]), *(_rho_cell(cells.get((probe, metric))) for metric in names)]
        for probe in probes
    ]
    total = table["probe_metric"].nunique()
    shown = f"the {len(probes)} of {total} probe numbers" if total > len(probes) else "all probe numbers,"
    caption = (
        f"Rank correlation ρ of probe numbers with robustness numbers over all models; {shown} with the "
        "largest |ρ| first. ●: related after correction over all pairs; ○: suggestive (false discovery "
        "rate). Orange: they rise together; purple: one falls as the other rises. A drop, BG-gap and "
        "corruption error are better small, the others better large."
    )
    head = columns("probe number", numbers=list(names.values()))
    return Table("table-rho", caption, head, rows, small=True)


def _rho_cell(row: Any) -> Cell:
    if row is None:
        return EMPTY
    sign = {"related": " ●", "suggestive": " ○"}.get(row.verdict, "")
    return shaded(Cell(number(row.rho) + sign, row.rho), (row.rho + 1) / 2, DIVERGING)


def _scatter(context: ReportContext, table: pd.DataFrame) -> Figure:
    rows = []
    for row in table.drop_duplicates("probe_metric").head(SHOWN_SCATTERS).itertuples():
        unit = "points" if row.robustness_metric.endswith(("drop", "gap")) else "%"
        title = f"ρ = {number(row.rho)}, {row.verdict}"
        labels = (row.probe.replace(" (", "\n("), f"{row.target} ({unit})")
        for model in context.models:
            x, y = (context.score_of(model, name) for name in (row.probe_metric, row.robustness_metric))
            if x is not None and y is not None:
                rows.append((row.probe_metric, title, *labels, model.name, x.value, 100 * y.value))
    points = pd.DataFrame(rows, columns=["pair", "title", "x_label", "y_label", "model", "x", "y"])
    scatters(context.figure("association_scatter"), points, context.models)
    return Figure.of(
        "association_scatter",
        "The strongest pairs, each probe number once. One point per model; colour and marker: family; "
        "filled: learned stem, open: another front-end. Horizontal axes have the unit of the probe number.",
    )


def _table(table: pd.DataFrame, rows: int = 20) -> Table:
    tones = {"related": "good", "undecided": "muted"}
    body = [
        [
            Cell(row.probe),
            Cell(row.target),
            Cell(f"{number(row.rho)} [{number(row.low)}, {number(row.high)}]", row.rho),
            Cell(number(row.partial), row.partial if np.isfinite(row.partial) else None),
            Cell(number(row.p, 4), row.p),
            Cell(number(row.p_fdr, 3), row.p_fdr),
            Cell(number(row.p_family, 3), row.p_family),
            Cell(str(row.n), row.n),
            Cell(row.verdict, row.verdict, tones.get(row.verdict, "")),
        ]
        for row in table.head(rows).itertuples()
    ]
    numbers = ("ρ", "ρ, clean held", "p", "p, FDR", "p, max-T", "models")
    head = [*columns("probe number", "robustness number", numbers=numbers), Column("verdict", False)]
    caption = (
        f"The {len(body)} strongest of {len(table)} rank correlations: ρ with 95 % interval over "
        "architectures, ρ with clean accuracy held constant, permutation p, p for the false discovery "
        "rate, p corrected over all pairs, number of models, verdict."
    )
    return Table("table-association", caption, head, body, small=True)
