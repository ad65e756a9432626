"""Question 6: do the visualizations predict the robustness?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from robustness import scores
from robustness.report import conditions
from robustness.report.context import ReportContext
from robustness.report.document import (
    EMPTY,
    Answer,
    Block,
    Cell,
    Column,
    Figure,
    Section,
    Table,
    Text,
    columns,
)
from robustness.report.plots.dots import scatters
from robustness.report.sections.registry import register
from robustness.report.shading import DIVERGING, shaded
from robustness.report.wording import listed, number
from robustness.scores import Key
from robustness.scores.association import MINIMUM

TITLE = "Do the visualizations predict the robustness?"
METHOD = (
    "Every probe number (counts, sizes and what restates accuracy apart) is correlated with every robustness "
    "number, twice: across architectures (learned stems, canonical training), and within architectures (what "
    "the V1 front-end changes of the one against what it changes of the other). Clean accuracy is held "
    "constant: Spearman's partial ρ, with an interval over architectures.",
    "Many pairs are tested: a pair is called related only if its ρ is significant after a correction for "
    "all pairs (max-T, Westfall & Young: the probability that the best of all pairs is as strong when "
    "nothing is related) and its interval excludes 0; suggestive if only the false discovery rate is held.",
    "A correlation over trained networks does not show a cause.",
)
RESTATING = r"/(?:knn_purity|silhouette|label_consistency|placed_purity|other_class)|/attack/"
"""Probe numbers computed from the labels of the images, which restate accuracy, clean or under a condition,
and those of images under attack, which restate robustness."""
BOOKKEEPING = (
    "filters", "kernel_size", "stride", "channels", "gabor_r2_null", "field_share", "grid", "mask_area",
    "ceiling_mass", "completeness_error", "responsive_share", "v1_likeness_ceiling", "median", "distance",
)  # fmt: skip
"""Probe numbers that describe the probe or the layer's shape and not what was learned, as do all ``…_sd``."""
SHOWN_ROWS = 12
SHOWN_SCATTERS = 3
TARGETS = {
    "pose/drop": "pose drop",
    "plane/drop": "in-plane drop",
    "clutter/drop": "clutter drop",
    "pose/worst_view_accuracy": "worst view",
    "clutter/bg_gap": "BG-gap",
    "corruption/mce": "corruption error",
    "attack/worst_linf/area": "robust area L∞",
    "attack/worst_l2/area": "robust area L2",
}


SCOPES = {"across": "across architectures", "within": "within architectures (vone less learned)"}


@register("association", number=6)
def write(context: ReportContext) -> Section:
    """The section of question 6."""
    tables, reason = associate(context)
    blocks: list[Block] = [Text(METHOD, "Method.", "method")]
    if not tables:
        return Section("association", TITLE, 6, [Answer(reason, "missing")], blocks)
    units = units_of(context, context.inputs.scores)
    for scope, table in tables.items():
        shown = [_map(context, table, scope), _scatter(context, table, scope, units[scope])]
        if len(blocks) > 1 and not (table["verdict"] == "related").any():
            shown = [replace(block, html_only=True) for block in shown]
        blocks += [*shown, _table(table, scope)]
    return Section("association", TITLE, 6, _answers(tables), blocks)


def targets(context: ReportContext) -> dict[str, str]:
    """The robustness numbers of the run: metric → short name, the reference budget among them."""
    wanted = dict(TARGETS)
    budget = conditions.reference_budget(context.inputs)
    if budget is not None:
        wanted[budget[1]] = f"robust at {budget[0]:g}/255"
    return {metric: name for metric, name in wanted.items() if metric in context.inputs.keys}


def associate(context: ReportContext) -> tuple[dict[str, pd.DataFrame], str]:
    """The tables of ``robustness.scores.association`` by scope; none, and the reason, where none can be
    made."""
    table = context.inputs.scores
    table = table[table["model"].isin(context.inputs.present)]
    is_probe, number_of = table["shift"] == "probe", table["statistic"].str.split("/").str[-1]
    left_out = number_of.isin(BOOKKEEPING) | number_of.str.endswith("_sd")
    left_out |= table["metric"].str.contains(RESTATING)
    table = table[~(is_probe & left_out)]
    if not is_probe.loc[table.index].any():
        return {}, "No probe numbers are among the scores, so nothing can be said."
    wanted, found = targets(context), {}
    for scope, units in units_of(context, table).items():
        if len(units) < MINIMUM or not wanted:
            continue
        long = units.rename_axis(index="model", columns="metric").stack().rename("value").reset_index()
        metrics = [metric for metric in wanted if metric in units]
        result = scores.association(
            long.assign(low=np.nan, high=np.nan, n=1),
            "probe/*",
            metrics,
            seed=context.inputs.seed,
            resamples=context.inputs.resamples,
        )
        result = result[result["rho"].notna()].reset_index(drop=True)
        if len(result):
            probes = result["probe_metric"].map(lambda metric: probe_name(context.inputs.keys[metric]))
            found[scope] = result.assign(target=result["robustness_metric"].map(wanted), probe=probes)
    few = f"Rank correlations need at least {MINIMUM} architectures with probe and robustness numbers."
    return found, "" if found else few


def units_of(context: ReportContext, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Scope → one row per architecture, one column per metric of the scores: the learned, canonical model's
    value, and what the V1 front-end changes of it; replicates averaged."""
    means = {}
    for frontend in ("learned", "vone"):
        own = {m.name: m.architecture for m in context.models.where(frontend=frontend, training="canonical")}
        rows = table[table["model"].isin(list(own))]
        groups = [rows["model"].map(own).rename("architecture"), rows["metric"]]
        means[frontend] = rows["value"].groupby(groups).mean().unstack()
    both = means["learned"].index.intersection(means["vone"].index)
    return {"across": means["learned"], "within": means["vone"].loc[both] - means["learned"].loc[both]}


def probe_name(key: Key) -> str:
    """A probe's number in short: gabor r2 (filters, stem)."""
    return f"{key.statistic.replace('_', ' ').replace('/', ', ')} ({key.factor}, {key.level})"


def _answers(tables: dict[str, pd.DataFrame]) -> list[Answer]:
    counts = [
        f"{(table['verdict'] == 'related').sum()} of {len(table)} pairs {SCOPES[scope]}"
        for scope, table in tables.items()
    ]
    found = any((table["verdict"] == "related").any() for table in tables.values())
    text = (
        f"Probe numbers {'predict' if found else 'do not predict'} robustness numbers with clean accuracy "
        f"held constant, after correction for so many tests: {listed(counts)} are related."
    )
    answers = [Answer(text, "found" if found else "undecided")]
    for scope, table in tables.items():
        first = table.iloc[0]
        answers.append(
            Answer(
                f"The strongest pair {SCOPES[scope]}: {first['probe']} with {first['target']}, ρ = "
                f"{_rho(first)} over {first['n']} (corrected p = {number(first['p_family'], 3)}; without "
                f"accuracy held {number(first['plain'])}).",
                "found" if first["verdict"] == "related" else "undecided",
            )
        )
    return answers


def _rho(row: pd.Series) -> str:
    return f"{number(row['rho'])} [{number(row['low'])}, {number(row['high'])}]"


def _map(context: ReportContext, table: pd.DataFrame, scope: str) -> Table:
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
        f"Rank correlation ρ of probe numbers with robustness numbers {SCOPES[scope]}, clean accuracy held "
        f"constant; {shown} with the largest |ρ| first. ●: related after correction over all pairs; ○: "
        "suggestive (false discovery rate). Orange: they rise together; purple: one falls as the other "
        "rises. A drop, BG-gap and corruption error are better small, the others better large."
    )
    head = columns("probe number", numbers=list(names.values()))
    return Table(f"table-rho-{scope}", caption, head, rows, small=True)


def _rho_cell(row: Any) -> Cell:
    if row is None:
        return EMPTY
    sign = {"related": " ●", "suggestive": " ○"}.get(row.verdict, "")
    return shaded(Cell(number(row.rho) + sign, row.rho), (row.rho + 1) / 2, DIVERGING)


def _scatter(context: ReportContext, table: pd.DataFrame, scope: str, units: pd.DataFrame) -> Figure:
    looks = {m.architecture: m.name for m in context.models.where(frontend="learned", training="canonical")}
    rows = []
    for row in table.drop_duplicates("probe_metric").head(SHOWN_SCATTERS).itertuples():
        unit = "points" if scope == "within" or row.robustness_metric.endswith(("drop", "gap")) else "%"
        title = f"ρ = {number(row.rho)}, {row.verdict}"
        labels = (row.probe.replace(" (", "\n("), f"{row.target} ({unit})")
        known = units[[row.probe_metric, row.robustness_metric]].dropna()
        for architecture, (x, y) in zip(known.index, known.to_numpy(), strict=True):
            rows.append((row.probe_metric, title, *labels, looks[architecture], x, 100 * y))
    points = pd.DataFrame(rows, columns=["pair", "title", "x_label", "y_label", "model", "x", "y"])
    scatters(context.figure(f"association_{scope}"), points, context.models)
    return Figure.of(
        f"association_{scope}",
        f"The strongest pairs {SCOPES[scope]}, each probe number once. One point per architecture; colour "
        "and marker: family. Horizontal axes have the unit of the probe number. ρ is with clean accuracy "
        "held.",
    )


def _table(table: pd.DataFrame, scope: str, rows: int = 12) -> Table:
    tones = {"related": "good", "undecided": "muted"}
    body = [
        [
            Cell(row.probe),
            Cell(row.target),
            Cell(f"{number(row.rho)} [{number(row.low)}, {number(row.high)}]", row.rho),
            Cell(number(row.plain), row.plain),
            Cell(number(row.p, 4), row.p),
            Cell(number(row.p_fdr, 3), row.p_fdr),
            Cell(number(row.p_family, 3), row.p_family),
            Cell(str(row.n), row.n),
            Cell(row.verdict, row.verdict, tones.get(row.verdict, "")),
        ]
        for row in table.head(rows).itertuples()
    ]
    numbers = ("ρ", "ρ, not held", "p", "p, FDR", "p, max-T", "n")
    head = [*columns("probe number", "robustness number", numbers=numbers), Column("verdict", False)]
    caption = (
        f"The {len(body)} strongest of {len(table)} rank correlations {SCOPES[scope]}: ρ with clean accuracy "
        "held and its 95 % interval over architectures, ρ without, permutation p, p for the false discovery "
        "rate, p corrected over all pairs, number of architectures, verdict."
    )
    return Table(f"table-association-{scope}", caption, head, body, small=True, html_only=True)
