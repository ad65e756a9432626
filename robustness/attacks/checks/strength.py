"""Checks of strength (numbers 3 to 7 and 9): would a stronger or another attack have found more?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robustness.attacks import geometry
from robustness.attacks.checks.context import CheckContext
from robustness.attacks.checks.verdict import Check, at_most
from robustness.attacks.pgd import PGD
from robustness.attacks.random_noise import RandomNoise
from robustness.attacks.square import Square

GREY = 0.5  # within this ε (L∞) lies a grey image, whatever the clean one


def check(context: CheckContext) -> Iterator[Check]:
    """monotone, inferred, unbounded, beats_fgsm, more_steps, loss_flat, silent_success, black_box,
    decision_based, random_noise."""
    yield from without_inference(context)
    yield unbounded(context)
    yield single_step(context)
    yield from longer(context)
    yield black_box(context)
    if context.scale.decision_samples:
        yield decision_based(context)
    yield random_noise(context)


def missed(context: CheckContext, name: str, flags: np.ndarray, detail: str) -> Check:
    """The verdict on images (n,) that the suite left robust and that another attack breaks: up to a fiftieth
    of all pass, above a twentieth fail."""
    return at_most(name, context.share(flags), 0.02, detail, fail_above=0.05)


def without_inference(context: CheckContext) -> Iterator[Check]:
    """Every ε attacked from scratch: robust accuracy must fall with ε, and agree with what was inferred from
    other ε's."""
    rows, attack = context.rows, PGD(steps=context.scale.steps)
    accuracy, contradicted = [1.0], np.zeros(len(rows), dtype=bool)
    for epsilon in context.worst.index[context.worst.index > 0]:
        broken = context.broken_by(attack, rows, float(epsilon))
        accuracy.append(1 - broken.mean())
        contradicted |= broken & context.worst.loc[epsilon].to_numpy(dtype=bool)[rows]
    rise = max(0.0, float(np.max(np.diff(accuracy)))) if len(accuracy) > 1 else 0.0
    yield at_most(
        "monotone",
        rise,
        0,
        "largest rise of robust accuracy to a larger ε, each from scratch",
        fail_above=0.05,
    )
    yield missed(
        context, "inferred", contradicted, "share called robust at some ε, broken there from scratch"
    )


def unbounded(context: CheckContext) -> Check:
    """Within an ε that allows a grey image, robust accuracy must fall to chance."""
    broken = context.broken_by(PGD(steps=2 * context.scale.steps), context.rows, GREY)
    detail = f"robust accuracy at ε = {GREY:g}; the limit is chance"
    return at_most("unbounded", 1 - broken.mean(), 1 / context.model.classes, detail)


def single_step(context: CheckContext) -> Check:
    """FGSM, one step of size ε from the clean image, must break nothing that the suite left robust."""
    fgsm = PGD(steps=1, rel_stepsize=1.0, random_start=False)
    broken = context.broken_by(fgsm, context.robust, context.epsilon)
    return missed(context, "beats_fgsm", broken, "share that FGSM breaks, the suite not")


def longer(context: CheckContext) -> Iterator[Check]:
    """More steps and another start add almost nothing; the loss has flattened; no success was lost."""
    rows, steps = context.robust, context.scale.longer_steps or 2 * context.scale.steps
    found = context.search(
        PGD(steps=steps), rows, context.epsilon, stop_early=False, trace=True, stream="longer"
    )
    broken = context.broken(found.images, rows)
    # Decided as for the returned image is: of many noisy queries on the way, one is wrong by chance.
    seen = context.broken(found.wrongest, rows)
    last_alone = float((seen & (found.wrong[:, -1] <= 0.5)).mean()) if len(rows) else 0.0
    yield missed(context, "more_steps", broken, f"share that PGD with {steps} steps breaks, the suite not")
    rise = flatness(found.losses) if len(rows) else 0.0
    yield at_most(
        "loss_flat", rise, 0.05, "rise of the loss in the last 10 steps, of its range", fail_above=0.2
    )
    yield missed(
        context,
        "silent_success",
        seen & ~broken,
        f"share broken on the way but not in the image returned (last iterate alone: {last_alone:.2g})",
    )


def flatness(losses: np.ndarray) -> float:
    """How much the loss still rises in the last ten steps, as a share of its whole rise: 0 where it has
    flattened.

    losses: (n, steps + 1). After Pintor et al. 2022, indicator 4, with means of half of the last steps
    against the other half, over all images, in the place of single values: a loss under noise never is
    constant.
    """
    mean = losses.mean(0)
    late = mean[-10:]
    half = len(late) // 2
    rise = late[half:].mean() - late[:half].mean()
    whole = late[half:].mean() - mean[0]
    return float(max(0.0, rise) / whole) if whole > 1e-9 else 0.0


def black_box(context: CheckContext) -> Check:
    """Square, which needs no gradient, must break nothing that the suite left robust."""
    queries = context.scale.queries
    broken = context.broken_by(Square(steps=queries), context.robust, context.epsilon)
    return missed(
        context, "black_box", broken, f"share that Square ({queries} queries) breaks, the suite not"
    )


def decision_based(context: CheckContext) -> Check:
    """HopSkipJump, which sees the class alone, must find nothing within ε that the suite missed."""
    from robustness.attacks.foolbox_runner import run_foolbox
    from robustness.attacks.hop_skip_jump import HopSkipJump

    rows = context.robust[: context.scale.decision_samples]
    broken = rows > 0
    if len(rows):
        images, labels = context.images[rows], context.labels[rows]
        attack = HopSkipJump(norm="linf", steps=4, queries=50)
        points = run_foolbox(
            attack, context.model, images, labels, context.ids[rows], None, batch_size=1, alone=True
        )
        near = geometry.size(points - images.cpu(), "linf").numpy() <= context.epsilon
        broken = context.broken(points, rows) & near
    detail = f"images of {len(rows)} that HopSkipJump breaks within ε, the suite not"
    return at_most("decision_based", float(broken.sum()), 0, detail)


def random_noise(context: CheckContext) -> Check:
    """Random noise of the same size must break nothing that the suite left robust."""
    broken = context.broken_by(RandomNoise(steps=5), context.robust, context.epsilon)
    return missed(context, "random_noise", broken, "share that random noise of size ε breaks, the suite not")
