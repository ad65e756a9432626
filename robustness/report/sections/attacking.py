"""Question 3: how does each model stand up to adversarial attack, and can that number be trusted?"""

from __future__ import annotations

from robustness.report import conditions, published
from robustness.report.document import (
    NOTHING,
    Answer,
    Block,
    Cell,
    Column,
    Figure,
    Section,
    Table,
    Text,
    present,
)
from robustness.report.drafting import Draft, trust, trust_cell
from robustness.report.inputs import Score
from robustness.report.plots.panels import curve_panels
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
    "a robust accuracy beside a failed check is not to be trusted.",
)


def write(draft: Draft) -> Section:
    """The section of question 3."""
    blocks: list[Block | None] = [
        Text(METHOD, "Method.", "method"),
        _curves(draft, "worst_linf", "attack budget ε (L∞, 255ths)"),
        _curves(draft, "worst_l2", "attack budget ε (L2, image units)"),
        _table(draft, "worst_linf", "/255", "table-attack"),
        _table(draft, "worst_l2", " (L2)", "table-attack-l2"),
        _suite(draft),
        _eot(draft),
        _transfer(draft),
        _verdicts(draft),
        _checks(draft),
        published.table(draft, 3),
    ]
    return Section("attack", TITLE, 3, _answers(draft), present(blocks))


def _answers(draft: Draft) -> list[Answer]:
    budget = conditions.reference_budget(draft.inputs)
    if budget is None:
        return [Answer("No worst-case robust accuracies are among the scores.", "missing")]
    epsilon, metric = budget
    scored = [(draft.score_of(model, metric), model) for model in draft.roster]
    scored = sorted([(s, m) for s, m in scored if s is not None], key=lambda pair: -pair[0].value)
    guess = conditions.chance(draft.inputs)
    broken = [model for score, model in scored if score.high < guess]
    best, winner = scored[0]
    text = capital(f"{are(len(broken), len(scored), 'model')} below chance for certain at L∞ {epsilon:g}/255")
    doubt = ", but a check of it failed" if trust(draft, winner) == "fail" else ""
    answers = [Answer(f"{text}; {winner.name} keeps most, {share(best)}{doubt}.")]
    return [*answers, *_trust_answers({model.name: trust(draft, model) for _, model in scored})]


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
        answers.append(
            Answer(f"A check failed for {listed(failed)}: {plural} not to be trusted.", "doubtful")
        )
    if unchecked:
        answers.append(Answer(f"No checks were made for {listed(unchecked)}.", "missing"))
    return answers


def _curves(draft: Draft, attack: str, label: str) -> Figure | None:
    curves = conditions.attack_curves(draft.inputs, draft.roster.grid(), attack)
    if not curves:
        return None
    curve_panels(
        draft.figure(f"attack_{attack}"),
        curves,
        x_label=label,
        y_label="worst-case robust accuracy (%)",
        chance=conditions.chance(draft.inputs),
    )
    return Figure(
        f"fig-{attack.replace('_', '-')}",
        draft.figure_link(f"attack_{attack}"),
        "Worst-case robust accuracy over the attack budget: the share of images that are right and "
        "that no attack of the suite turned; at 0 the accuracy on the attacked images. One panel an "
        "architecture; solid: learned stem, dashed: V1 front-end; grey: all other models. Bands: 95 % "
        "intervals over objects. Dotted: chance.",
    )


def _table(draft: Draft, attack: str, unit: str, name: str) -> Table | None:
    budgets = conditions.budgets(draft.inputs.metrics, attack)
    if not budgets:
        return None
    columns = [Column("model", False), *(Column(f"ε = {epsilon:g}{unit}") for epsilon, _ in budgets)]
    rows = [
        [
            Cell(model.name, mono=True),
            *(score_cell(draft.score_of(model, metric)) for _, metric in budgets),
            trust_cell(trust(draft, model)),
        ]
        for model in draft.roster
    ]
    caption = (
        "Worst-case robust accuracy (%) by budget with 95 % intervals over objects, and the worst "
        "verdict of the attack checks."
    )
    return Table(name, caption, [*columns, Column("checks", False)], rows, small=True)


def _suite(draft: Draft) -> Table | None:
    """Each attack alone at the reference budget, beside the worst case."""
    budget = conditions.reference_budget(draft.inputs)
    names = [name for name in conditions.attacks(draft.inputs.metrics) if name.endswith("_linf")]
    if budget is None or len(names) < 3:
        return None
    names.sort(key=lambda name: name == "worst_linf")
    epsilon = f"{budget[0]:g}"
    rows = []
    for model in draft.roster:
        scores = [draft.score_of(model, f"attack/{name}/eps_{epsilon}/robust_accuracy") for name in names]
        cells = [Cell(f"{100 * s.value:.1f}", s.value) if s else Cell(NOTHING, None, "muted") for s in scores]
        rows.append([Cell(model.name, mono=True), *cells])
    titles = [name.removesuffix("_linf").replace("_", " ") for name in names]
    caption = (
        f"Robust accuracy (%) against each attack alone at L∞ {epsilon}/255, and the worst case over all."
    )
    return Table("table-suite", caption, [Column("model", False), *map(Column, titles)], rows, small=True)


def _eot(draft: Draft) -> Table | None:
    """Robust accuracy of the models with noise against the EOT samples per gradient."""
    table = draft.inputs.eot
    if table.empty:
        return None
    counts = sorted(set(table["eot_samples"]))
    cells = {
        (row.model, row.eot_samples): Score(row.robust_accuracy, row.low, row.high)
        for row in table.itertuples()
    }
    epsilons = {row.model: 255 * float(row.epsilon) for row in table.itertuples()}
    rows = [
        [
            Cell(model.name, mono=True),
            Cell(f"{epsilons[model.name]:g}/255"),
            *(score_cell(cells.get((model.name, count))) for count in counts),
        ]
        for model in draft.roster
        if model.name in epsilons
    ]
    caption = (
        "How many EOT samples a gradient needs: robust accuracy (%) under the suite's first attack on a few "
        "images, with the gradient averaged over so many samples of the noise; – was not run, since two "
        "steps before it changed nothing. Where a row still falls at its end, more samples would find more."
    )
    columns = [Column("model", False), Column("ε"), *(Column(f"{count} samples") for count in counts)]
    return Table("table-eot", caption, columns, rows, small=True)


def _transfer(draft: Draft) -> Table | None:
    """Adversarial images of every model against every other."""
    table = draft.inputs.transfer
    if table.empty:
        return None
    fooled = {(row.source, row.target): float(row.fooled) for row in table.itertuples()}
    epsilon = 255 * float(table["epsilon"].iloc[0])
    names = [model.name for model in draft.roster if (table["source"] == model.name).any()]
    rows = []
    for target in [model.name for model in draft.roster if (table["target"] == model.name).any()]:
        shares = [fooled.get((source, target), float("nan")) for source in names]
        rows.append([Cell(target, mono=True), *(shaded(Cell(percent(s, 0), s), s) for s in shares)])
    caption = (
        f"Transfer at L∞ {epsilon:.3g}/255: share (%) of the images right when clean that the images "
        "made for the model above turn in the model at the left. The darker, the more."
    )
    columns = [Column("target", False), *(Column(name) for name in names)]
    return Table("table-transfer", caption, columns, rows, small=True, upright=True)


def _verdicts(draft: Draft) -> Table | None:
    checks = draft.inputs.checks
    if checks.empty:
        return None
    names = list(dict.fromkeys(checks["check"]))
    severity = ["", "pass", "warn", "fail"]
    worst: dict[tuple[str, str], str] = {}
    for row in checks.itertuples():
        place = (row.model, row.check)
        worst[place] = max(worst.get(place, ""), row.verdict, key=severity.index)
    rows = [
        [Cell(model.name, mono=True), *(_verdict_cell(worst.get((model.name, name), "")) for name in names)]
        for model in draft.roster
    ]
    columns = [Column("model", False), *(Column(name.replace("_", " ")) for name in names)]
    caption = (
        "The checks that every attack evaluation makes of itself, by model: ok, w(arn) or FAIL; – was "
        "not made. A model with a failed check has a robust accuracy that is not to be trusted."
    )
    return Table("table-verdicts", caption, columns, rows, small=True, upright=True)


def _verdict_cell(verdict: str) -> Cell:
    words = {"pass": "ok", "warn": "w", "fail": "FAIL", "": NOTHING}
    return Cell(words[verdict], verdict, fill=VERDICT_FILLS.get(verdict, ""))


def _checks(draft: Draft) -> Table | None:
    checks = draft.inputs.checks
    worth = checks[checks["verdict"] != "pass"]
    if worth.empty:
        return None
    rows = [
        [
            Cell(str(row.model), mono=True),
            Cell(str(row.check).replace("_", " ")),
            trust_cell(str(row.verdict)),
            Cell(_figure_text(row.figure)),
            Cell(_figure_text(row.limit)),
            *([Cell(str(row.detail))] if "detail" in worth else []),
        ]
        for row in worth.itertuples()
    ]
    titles = [
        "model",
        "check",
        "verdict",
        "figure",
        "limit",
        *(["what it counts"] if "detail" in worth else []),
    ]
    columns = [Column(title, False) for title in titles]
    caption = "The checks that warned or failed, each with its figure and the limit it was held against."
    return Table("table-checks", caption, columns, rows, small=True)


def _figure_text(value: object) -> str:
    return number(value, 4) if isinstance(value, float) else str(value)
