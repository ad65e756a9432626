"""Question 3: how does each model stand up to adversarial attack, and can that number be trusted?"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from robustness.report import adversarial_pictures, conditions
from robustness.report.context import ReportContext, trust, trust_cell
from robustness.report.document import (
    NOTHING,
    Answer,
    Cell,
    Figure,
    Gallery,
    Picture,
    Section,
    Table,
    Text,
    columns,
)
from robustness.report.palette import VERDICTS
from robustness.report.plots.lines import curve_panels
from robustness.report.sections.registry import register
from robustness.report.shading import VERDICT_FILLS, shaded
from robustness.report.wording import are, capital, listed, number, of, percent, score_cell, share

TITLE = "How does it stand up to adversarial attack, and can that number be trusted?"
METHOD = (
    "Suites are ladders: each attack runs on the images that survived the attacks before it, each rung is "
    "stronger than the one before, and the next rung runs if this one broke at least 1 % of the images. "
    "The standard suite holds APGD on the cross-entropy, targeted APGD, a minimum-norm attack of foolbox and "
    "Square.",
    "Models with noise get the stochastic suite: the same attacks with gradients averaged over ever more "
    "samples of the noise (EOT). Robust accuracy is the expected share of right answers on the strongest "
    "image found, under new noise at each forward pass; a majority vote over noise samples would be a "
    "different classifier.",
    "Every evaluation checks itself (after Carlini 2019, Tramèr 2020, Croce & Hein 2020, Pintor 2022). The "
    "verdict of a model is the worst of its checks: attack too weak, model masks gradients, sample too small "
    "or all well.",
)


@register("attacking", number=3)
def write(context: ReportContext) -> Section:
    """The section of question 3."""
    blocks = [
        Text(METHOD, "Method.", "method"),
        _curves(context, "worst_linf", "attack budget ε (L∞, 255ths)"),
        _curves(context, "worst_l2", "attack budget ε (L2, image units)"),
        _table(context, "worst_linf", "/255", "table-attack"),
        _table(context, "worst_l2", " (L2)", "table-attack-l2"),
        _rungs(context),
        _variants(context),
        _eot(context),
        _examples(context),
        _transfer(context),
        _verdicts(context),
        _checks(context),
    ]
    return Section("attack", TITLE, 3, _answers(context), blocks)


def _answers(context: ReportContext) -> list[Answer]:
    budget = conditions.reference_budget(context.inputs)
    if budget is None:
        return [Answer("No worst-case robust accuracies are among the scores.", "missing")]
    epsilon, metric = budget
    scored = context.ranked(metric)
    guess = conditions.majority(context.inputs)
    broken = [model for score, model in scored if score.high < guess]
    best, winner = scored[0]
    text = capital(
        f"{are(len(broken), len(scored), 'model')} significantly below {percent(guess)} %, what the "
    )
    text += f"most frequent class gives, at L∞ {epsilon:g}/255"
    verdict = trust(context, winner)
    doubt = f" (checks: {VERDICTS[verdict][1]})" if verdict not in ("", "ok") else ""
    answers = [Answer(f"{text}; {winner.name} keeps most, {share(best)}{doubt}.")]
    trusted = _trust_answers({model.name: trust(context, model) for _, model in scored})
    return [*_means(context, epsilon, metric), *answers, *trusted]


def _means(context: ReportContext, epsilon: float, metric: str) -> list[Answer]:
    """What nets keep on average, by front-end and training."""
    kept = []
    for frontend, training, words in (
        ("learned", "canonical", "nets with a learned stem"),
        ("vone", "canonical", "with the V1 front-end"),
        ("learned", "adversarial", "adversarially trained"),
    ):
        effect = context.inputs.effect("mean", frontend, "", training, metric)
        if effect is not None:
            count = f"{effect.architectures} architecture{'s' if effect.architectures > 1 else ''}"
            kept.append(f"{words} {share(effect)} ({count})")
    return [Answer(f"At L∞ {epsilon:g}/255 these accuracies stand: {'; '.join(kept)}.")] if kept else []


def _trust_answers(verdicts: dict[str, str]) -> list[Answer]:
    models = {
        verdict: [name for name, own in verdicts.items() if own == verdict] for verdict in ("", *VERDICTS)
    }
    answers = []
    if any(verdicts.values()):
        answers.append(
            Answer(
                f"The checks of the attacks say all well of {of(len(models['ok']), len(verdicts), 'model')}."
            )
        )
    for verdict in ("masked", "weak", "small"):
        if models[verdict]:
            words = f"{capital(VERDICTS[verdict][1])}: {listed(models[verdict])}"
            answers.append(Answer(f"{words}; {CONSEQUENCES[verdict]}.", "doubtful"))
    if models[""]:
        answers.append(Answer(f"No checks were made for {listed(models[''])}.", "missing"))
    return answers


CONSEQUENCES = {
    "masked": "attacks that follow the gradient mislead, robust accuracy is an upper bound, perhaps far off",
    "weak": "a further rung would break more, and robust accuracy is an upper bound",
    "small": "that a further rung would break less than 5 % of the images is not shown",
}


def _curves(context: ReportContext, attack: str, label: str) -> Figure | None:
    models = context.models.grid()
    curves = conditions.attack_curves(context.inputs, models, attack)
    if curves.empty:
        return None
    curve_panels(
        context.figure(f"attack_{attack}"),
        curves,
        models,
        x_label=label,
        y_label="worst-case robust accuracy (%)",
        chance=conditions.chance(context.inputs),
    )
    return Figure.of(
        f"attack_{attack}",
        "Worst-case robust accuracy over the attack budget: the share of images that are classified "
        "correctly under every attack of the suite; at 0 the accuracy on the attacked images. One panel per "
        "architecture; solid: learned stem, dashed: V1 front-end; grey: all other models. Bands: 95 % "
        "intervals over objects. Dotted: chance.",
    )


def _table(context: ReportContext, attack: str, unit: str, name: str) -> Table | None:
    budgets = conditions.budgets(context.inputs, attack)
    caption = (
        "Robust accuracy (%) by budget with 95 % intervals over objects (ε = 0: clean, of the same images), "
        "and the worst verdict of the attack checks."
    )
    metrics = [(f"ε = {epsilon:g}{unit}", metric) for epsilon, metric in budgets]
    return context.score_table(name, caption, metrics, checks=True, html_only=True)


def _rungs(context: ReportContext) -> Table | None:
    """What the last rung took at each ε."""
    table = context.inputs.whole_attacks
    table = table[(table["norm"] == "linf") & (table["epsilon"] > 0) & (table["epsilon"] < float("inf"))]
    if table.empty:
        return None
    epsilons = sorted(table["epsilon"].unique())
    groups = dict(list(table.groupby(["model", "epsilon"])))
    rows = []
    for model in context.models:
        found = [groups.get((model.name, epsilon)) for epsilon in epsilons]
        if any(part is not None for part in found):
            rows.append([Cell(model.name, mono=True), *map(_climb, found)])
    caption = (
        "How far the suites escalated: the last rung that ran, and robust accuracy (%) before and after it. "
        "A ladder ends at the rung that lowers it by less than 1 point; where the last rung lowered it by "
        "more, in bold, a further rung might lower it again."
    )
    head = columns("model", numbers=[f"ε = {255 * epsilon:g}/255" for epsilon in epsilons])
    return Table("table-rungs", caption, head, rows, small=True, html_only=True)


def _climb(part: pd.DataFrame | None) -> Cell:
    """``2: 34.8 → 33.7``: the last rung, robust accuracy before and after it."""
    if part is None:
        return Cell(NOTHING)
    before, after = (100 * float(part[column].mean()) for column in ("before", "right"))
    text = f"{int(part['rungs'].max())}: {before:.1f} → {after:.1f}"
    return Cell(text, tone="bad" if before - after >= 1 else "")


def _variants(context: ReportContext) -> Table | None:
    """Perturbations of a region alone, and of images of other conditions."""
    rows = {
        f"{key.factor.removesuffix('_linf').replace('_', ' ')}, ε = {key.level}": metric
        for metric, key in context.inputs.keys.items()
        if (key.shift, key.statistic) == ("attack", "robust_accuracy") and not key.factor.startswith("worst_")
    }
    models = [m for m in context.models if any(context.score_of(m, metric) for metric in rows.values())]
    caption = (
        "Robust accuracy (%) to perturbations of the object's or of the background's pixels alone, by the "
        "exact masks, and on images of other conditions, with 95 % intervals over objects; ε = 0: no attack."
    )
    cells = [
        [Cell(title), *(score_cell(context.score_of(model, metric)) for model in models)]
        for title, metric in rows.items()
    ]
    head = columns("perturbation", numbers=[model.name.replace("_", "_\u200b") for model in models])
    return Table("table-variants", caption, head, cells, small=True) if models else None


def _eot(context: ReportContext) -> Table | None:
    """Robust accuracy of the models with noise against the EOT samples per gradient."""
    caption = (
        "How many EOT samples a gradient needs: robust accuracy (%) under APGD with 20 steps on a few "
        "images, the gradient averaged over so many samples of the noise; –: not run, because the two "
        "counts before it changed nothing. Where a row still falls at its end, more samples might find more."
    )
    study = context.inputs.eot.sort_values("eot_samples", kind="stable")
    table = context.study_table("table-eot", caption, study, "eot_samples", "{} samples", budgets=True)
    return table and replace(table, html_only=True)


def _examples(context: ReportContext) -> Gallery | None:
    """Adversarial images of the learned net that has the most twins (V1 front-end, adversarial training), of
    several the most accurate, and of these twins."""
    learned = context.models.where(frontend="learned", training="canonical")
    pairs = [*context.models.pairs("training", "adversarial", "canonical"),
             *context.models.pairs("frontend", "vone", "learned")]  # fmt: skip
    twins = {b.name: [a for a, other in pairs if other is b or other.name == b.name] for b in learned}
    ranked = [model for _, model in context.ranked("clean/accuracy", learned)]
    chosen = max(ranked, key=lambda model: len(twins[model.name]), default=None)
    if chosen is None:
        return None
    made = {m.name: adversarial_pictures.draw(context, m) for m in (chosen, *twins[chosen.name])}
    pictures = [
        Picture(context.picture(drawn.path, f"{name}_adversarial", 650), name)
        for name, drawn in made.items()
        if drawn is not None
    ]
    if not pictures:
        return None
    title = next(drawn.title for drawn in made.values() if drawn is not None)
    caption = (
        f"{title}: in each picture the clean images, the strongest found, and their difference (grey: none, "
        "full range: ±ε), for the net of the most twins and these."
    )
    return Gallery("fig-adversarial", caption, len(pictures), pictures)


def _transfer(context: ReportContext) -> Table | None:
    """Adversarial images of every model against every other."""
    table = context.inputs.transfer
    if table.empty:
        return None
    known = table[table["clean_right"] > 0.5]
    fooled = (known["right"] <= 0.5).groupby([known["source"], known["target"]]).mean().to_dict()
    epsilon = 255 * float(table["epsilon"].iloc[0])
    names = [model.name for model in context.models if (table["source"] == model.name).any()]
    rows = []
    for target in (model.name for model in context.models if (table["target"] == model.name).any()):
        shares = [fooled.get((source, target), float("nan")) for source in names]
        rows.append([Cell(target, mono=True), *(shaded(Cell(percent(s, 0), s), s) for s in shares)])
    caption = (
        f"Transfer at L∞ {epsilon:.3g}/255: share (%) of correctly classified images, of "
        f"{table['sample'].nunique()}, whose adversarial version, crafted on the source (column), the target "
        "(row) misclassifies. The darker, the more."
    )
    head = columns("target", numbers=names)
    return Table("table-transfer", caption, head, rows, small=True, upright=True)


def _verdicts(context: ReportContext) -> Table | None:
    checks = context.inputs.checks
    if checks.empty:
        return None
    ranks = checks.assign(severity=checks["verdict"].map(list(VERDICTS).index))
    worst = ranks.groupby(["model", "check"])["severity"].max().to_dict()
    names = list(dict.fromkeys(checks["check"]))
    rows = [
        [Cell(model.name, mono=True), *(_verdict_cell(worst.get((model.name, name))) for name in names)]
        for model in context.models
    ]
    caption = (
        "The checks that every attack evaluation makes of itself, by model, the worst over all ε: – not made."
    )
    head = columns("model", numbers=[name.replace("_", " ") for name in names])
    return Table("table-verdicts", caption, head, rows, small=True, upright=True)


def _verdict_cell(severity: int | None) -> Cell:
    if severity is None:
        return Cell(NOTHING)
    verdict = list(VERDICTS)[severity]
    return Cell("ok" if verdict == "ok" else verdict, verdict, fill=VERDICT_FILLS[verdict])


def _checks(context: ReportContext) -> Table | None:
    checks = context.inputs.checks
    failed = checks[checks["verdict"] != "ok"]
    if failed.empty:
        return None
    rows = [
        [
            Cell(str(row.model), mono=True),
            Cell(str(row.check).replace("_", " ")),
            Cell(f"{255 * row.epsilon:g}/255" if row.epsilon == row.epsilon else NOTHING),
            trust_cell(str(row.verdict)),
            Cell(number(row.figure, 4)),
            Cell(number(row.limit, 4)),
            Cell(str(row.detail)),
        ]
        for row in failed.itertuples()
    ]
    head = columns("model", "check", "ε", "verdict", "value", "limit", "what it counts")
    caption = "The checks that do not say all well, each with its value and its limit."
    return Table("table-checks", caption, head, rows, small=True, html_only=True)
