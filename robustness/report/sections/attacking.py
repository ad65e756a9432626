"""Question 3: how does each model stand up to adversarial attack, and can that number be trusted?"""

from __future__ import annotations

from robustness.report import conditions, published
from robustness.report.context import ReportContext, trust, trust_cell
from robustness.report.document import NOTHING, Answer, Cell, Figure, Section, Table, Text, columns
from robustness.report.inputs import Score
from robustness.report.plots.lines import curve_panels
from robustness.report.sections.registry import register
from robustness.report.shading import VERDICT_FILLS, shaded
from robustness.report.wording import are, capital, listed, number, of, percent, score_cell, share

TITLE = "How does it stand up to adversarial attack, and can that number be trusted?"
METHOD = (
    "An image counts as robust at ε if the model is right on it and no attack of the suite finds a "
    "wrong answer within ε (worst case over attacks, per image). Images are in [0, 1]; L∞ budgets are "
    "in 255ths.",
    "Models with noise are attacked with gradients averaged over samples of the noise (EOT); success is "
    "decided over fresh samples.",
    "Every evaluation checks itself (after Carlini 2019, Tramèr 2020, Croce & Hein 2020, Pintor 2022): "
    "a robust accuracy with a failed check is not reliable.",
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
        _suite(context),
        _eot(context),
        _transfer(context),
        _verdicts(context),
        _checks(context),
        published.table(context, 3),
    ]
    return Section("attack", TITLE, 3, _answers(context), blocks)


def _answers(context: ReportContext) -> list[Answer]:
    budget = conditions.reference_budget(context.inputs)
    if budget is None:
        return [Answer("No worst-case robust accuracies are among the scores.", "missing")]
    epsilon, metric = budget
    scored = context.ranked(metric)
    guess = conditions.chance(context.inputs)
    broken = [model for score, model in scored if score.high < guess]
    best, winner = scored[0]
    text = capital(
        f"{are(len(broken), len(scored), 'model')} significantly below chance at L∞ {epsilon:g}/255"
    )
    doubt = ", but a check of it failed" if trust(context, winner) == "fail" else ""
    answers = [Answer(f"{text}; {winner.name} keeps most, {share(best)}{doubt}.")]
    return [*answers, *_trust_answers({model.name: trust(context, model) for _, model in scored})]


def _trust_answers(verdicts: dict[str, str]) -> list[Answer]:
    failed = [name for name, verdict in verdicts.items() if verdict == "fail"]
    warned = [name for name, verdict in verdicts.items() if verdict == "warn"]
    unchecked = [name for name, verdict in verdicts.items() if not verdict]
    passed = len(verdicts) - len(failed) - len(warned) - len(unchecked)
    answers = []
    if passed or warned:
        text = f"All checks of the attacks passed for {of(passed, len(verdicts), 'model')}"
        text = text if passed else "No model passed all checks of its attacks without a warning"
        text += f"; warnings stand for {listed(warned)}." if warned else "."
        answers.append(Answer(text))
    if failed:
        plural = "their robust accuracies are" if len(failed) > 1 else "its robust accuracy is"
        answers.append(Answer(f"A check failed for {listed(failed)}: {plural} not reliable.", "doubtful"))
    if unchecked:
        answers.append(Answer(f"No checks were made for {listed(unchecked)}.", "missing"))
    return answers


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
        "Worst-case robust accuracy (%) by budget with 95 % intervals over objects, and the worst "
        "verdict of the attack checks."
    )
    metrics = [(f"ε = {epsilon:g}{unit}", metric) for epsilon, metric in budgets]
    return context.score_table(name, caption, metrics, checks=True)


def _suite(context: ReportContext) -> Table | None:
    """Each attack alone at the reference budget, beside the worst case."""
    budget = conditions.reference_budget(context.inputs)
    keys = context.inputs.keys.items()
    found = [
        (key.factor.removesuffix("_linf").replace("_", " "), metric)
        for metric, key in keys
        if budget and key[::3] == ("attack", "robust_accuracy") and key.factor.endswith("_linf")
        if float(key.level) == budget[0]
    ]
    if len(found) < 3:
        return None
    found.sort(key=lambda pair: pair[0] == "worst")
    caption = (
        f"Robust accuracy (%) against each attack alone at L∞ {budget[0]:g}/255, and the worst case over all."
    )
    return context.score_table("table-suite", caption, found, cell=_without_interval)


def _without_interval(score: Score | None) -> Cell:
    return score_cell(score and Score(score.value))


def _eot(context: ReportContext) -> Table | None:
    """Robust accuracy of the models with noise against the EOT samples per gradient."""
    caption = (
        "How many EOT samples a gradient needs: robust accuracy (%) under the suite's first attack on a few "
        "images, with the gradient averaged over so many samples of the noise; – was not run, since two "
        "steps before it changed nothing. Where a row still falls at its end, more samples would find more."
    )
    study = context.inputs.eot.sort_values("eot_samples", kind="stable")
    return context.study_table("table-eot", caption, study, "eot_samples", "{} samples", budgets=True)


def _transfer(context: ReportContext) -> Table | None:
    """Adversarial images of every model against every other."""
    table = context.inputs.transfer
    if table.empty:
        return None
    fooled = {(row.source, row.target): float(row.fooled) for row in table.itertuples()}
    epsilon = 255 * float(table["epsilon"].iloc[0])
    names = [model.name for model in context.models if (table["source"] == model.name).any()]
    rows = []
    for target in (model.name for model in context.models if (table["target"] == model.name).any()):
        shares = [fooled.get((source, target), float("nan")) for source in names]
        rows.append([Cell(target, mono=True), *(shaded(Cell(percent(s, 0), s), s) for s in shares)])
    caption = (
        f"Transfer at L∞ {epsilon:.3g}/255: share (%) of correctly classified images whose adversarial "
        "version, crafted on the source (column), the target (row) misclassifies. The darker, the more."
    )
    head = columns("target", numbers=names)
    return Table("table-transfer", caption, head, rows, small=True, upright=True)


def _verdicts(context: ReportContext) -> Table | None:
    checks = context.inputs.checks
    if checks.empty:
        return None
    severity = ["", "pass", "warn", "fail"]
    ranks = checks.assign(severity=checks["verdict"].map(severity.index))
    worst = ranks.groupby(["model", "check"])["severity"].max().to_dict()
    names = list(dict.fromkeys(checks["check"]))
    rows = [
        [
            Cell(model.name, mono=True),
            *(_verdict_cell(severity[worst.get((model.name, n), 0)]) for n in names),
        ]
        for model in context.models
    ]
    caption = (
        "The checks that every attack evaluation makes of itself, by model: ok, w(arn) or FAIL; – was "
        "not made. A model with a failed check has a robust accuracy that is not reliable."
    )
    head = columns("model", numbers=[name.replace("_", " ") for name in names])
    return Table("table-verdicts", caption, head, rows, small=True, upright=True)


def _verdict_cell(verdict: str) -> Cell:
    words = {"pass": "ok", "warn": "w", "fail": "FAIL", "": NOTHING}
    return Cell(words[verdict], verdict, fill=VERDICT_FILLS.get(verdict, ""))


def _checks(context: ReportContext) -> Table | None:
    checks = context.inputs.checks
    failed = checks[checks["verdict"] != "pass"]
    if failed.empty:
        return None
    detailed = "detail" in failed
    rows = [
        [
            Cell(str(row.model), mono=True),
            Cell(str(row.check).replace("_", " ")),
            trust_cell(str(row.verdict)),
            Cell(_figure_text(row.figure)),
            Cell(_figure_text(row.limit)),
            *([Cell(str(row.detail))] if detailed else []),
        ]
        for row in failed.itertuples()
    ]
    head = columns("model", "check", "verdict", "value", "limit", *["what it counts"] * detailed)
    caption = "The checks that warned or failed, each with its value and its limit."
    return Table("table-checks", caption, head, rows, small=True)


def _figure_text(value: object) -> str:
    return number(value, 4) if isinstance(value, float) else str(value)
