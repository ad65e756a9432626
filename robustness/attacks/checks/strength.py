"""Checks of the attack's strength: would more have broken more?"""

from __future__ import annotations

from collections.abc import Iterator

from robustness.attacks.best_adversarials import STANDS, STANDS_UNDER_NOISE
from robustness.attacks.checks.context import CheckContext, standing, telling_epsilon
from robustness.attacks.checks.verdict import Check, at_most
from robustness.attacks.pgd import PGD
from robustness.attacks.square import Square
from robustness.attacks.suites import CONVERGED
from robustness.statistics.proportions import at_least_exact, at_most_exact, mean_bounds

GREY = 0.5  # within this ε (L∞) lies a grey image, whatever the clean one
MISSED = 0.05  # of all images: what one more rung may break, at a confidence of 95 %
BY_CHANCE = 0.01  # of the images that stand: what an attack without gradients may break


def check(context: CheckContext) -> Iterator[Check]:
    """converged and missed at each ε; black_box where the suite ran Square and where it tells most;
    unbounded.

    No Square of its own for a model with noise: there a thousand queries, of one or of eight samples of the
    noise each, break none of the images that twenty steps of APGD break, so that it would say nothing.
    """
    for epsilon in context.epsilons:
        yield from converged(context, epsilon)
    own = None if context.model.stochastic else telling_epsilon(context.outcome.table)
    for epsilon in context.epsilons:
        if epsilon == own or _square_ran(context, epsilon):
            yield black_box(context, epsilon)
    yield unbounded(context)


def converged(context: CheckContext, epsilon: float) -> Iterator[Check]:
    """The last rung at an ε broke less than 1 % of the images, unless by chance; and how many one more would
    break at most.

    Both judged by bounds (95 %): exact ones, or with noise, where an image breaks in part, those of the mean
    loss of right answers.
    """
    rows = context.at(epsilon)
    last, count = int(rows["rungs"].max()), len(rows)
    stands = STANDS_UNDER_NOISE if context.model.stochastic else STANDS
    attacked = int((rows["before"] > stands).sum())
    lost = (rows["before"] - rows["right"]).to_numpy()
    broke = float(lost.sum())
    if context.model.stochastic:
        low, high = mean_bounds(lost)
        high = max(high, attacked / count * at_most_exact(0, attacked))  # equal values show no scatter
    else:
        low, high = (
            attacked / count * bound(round(broke), attacked) for bound in (at_least_exact, at_most_exact)
        )
    told = f"share that the last rung, {last}, breaks at least (95 %); it broke {broke:.3g} of {count}"
    yield at_most("converged", low, CONVERGED, told, "weak", epsilon)
    told = f"share that one more such rung breaks at most (95 %); {attacked} of {count} images attacked"
    yield at_most("missed", high, MISSED, told, "small", epsilon)


def black_box(context: CheckContext, epsilon: float) -> Check:
    """Square, which needs no gradient, breaks hardly any image that attacks with gradients left: of the
    suite's own, or here on the first that stand. Judged by the exact lower bound (95 %) of the share."""
    rows = context.at(epsilon)
    stands = standing(rows)
    by_square = int((rows["by"] == "square").sum())
    count, broken, whose = by_square + int(stands.sum()), by_square, "in the suite"
    if not _square_ran(context, epsilon):
        few = stands.nonzero()[0][: context.scale.black_box_images]
        broken = int(context.broken_by(Square(steps=context.scale.queries), few, epsilon).sum())
        count, whose = len(few), f"with {context.scale.queries} queries"
    detail = f"Square, {whose}, breaks {broken} of {count} that gradients left; the share at least (95 %)"
    return at_most("black_box", at_least_exact(broken, count), BY_CHANCE, detail, "masked", epsilon)


def _square_ran(context: CheckContext, epsilon: float) -> bool:
    return "square" in context.outcome.attacks.get(epsilon, ())


def unbounded(context: CheckContext) -> Check:
    """Within an ε that allows a grey image, robust accuracy must fall to chance."""
    broken = context.broken_by(PGD(steps=20), context.rows, GREY)
    detail = f"robust accuracy at ε = {GREY:g}; the limit is chance"
    return at_most("unbounded", 1 - broken.mean(), 1 / context.model.classes, detail, "masked")
