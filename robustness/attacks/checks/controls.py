"""Controls (number 12): attacks and checks on models of which it is known what they must find."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from robustness.attacks.checks.context import CheckContext
from robustness.attacks.checks.strength import black_box
from robustness.attacks.checks.verdict import Check, at_most, warn_above
from robustness.attacks.evaluation import attack
from robustness.attacks.pgd import PGD

UNDEFENDED = 8 / 255  # the L∞ ε at which a model without a defence falls to about 0
COUNT, STEPS, QUERIES = 4, 10, 100  # of the negative control: images, steps of PGD, queries of Square


def positive_control(context: CheckContext) -> Check:
    """A model without a defence must fall to about 0 at L∞ 8/255."""
    rows = np.arange(len(context.ids))[: context.scale.samples]
    found = context.search(PGD(steps=context.scale.steps), rows, UNDEFENDED, stream="twin")
    robust = 1 - context.broken(found.images, rows).mean()
    return at_most(
        "positive_control", robust, 0.05, "robust accuracy without a defence at L∞ 8/255", fail_above=0.25
    )


class Obfuscated(nn.Module):
    """The same answers as ``model``, bit for bit, and its input gradient reversed: finite and smooth, but an
    attack that follows it lowers the loss."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(2 * x.detach() - x)


def negative_control(context: CheckContext) -> Check:
    """A copy of the model that only looks robust must fail ``black_box``, the check that needs no gradient.

    The copy has an obfuscated gradient. It is attacked with PGD at the largest ε, on up to four images that
    the suite broke there with the smallest perturbations: those that are robust now are so in appearance
    only, since the copy answers as the model does.
    """
    name, epsilon = "negative_control", float(context.worst.index.max())
    at_largest = context.worst_rows[context.worst_rows["epsilon"] == epsilon].reset_index(drop=True)
    broken = at_largest[at_largest["clean_correct"] & ~at_largest["robust"]]
    rows = np.array(broken.sort_values("distance", kind="stable").index[:COUNT])
    if len(rows) == 0 or not isinstance(context.model.model, nn.Module):
        return warn_above(name, 1, 0, "not run: no module, or no image that the suite breaks")
    copy, device, setup = Obfuscated(context.model.model), context.model.device, context.setup
    part = context.images[rows], context.labels[rows]
    suite = {"pgd": {"steps": STEPS}}
    outcome = attack(copy, *part, suite, [epsilon], setup, samples=context.ids[rows], device=device)
    scale = context.scale.model_copy(update={"samples": len(rows), "queries": QUERIES})
    with setup.attacked(copy, device) as attacked:
        apparent = CheckContext(attacked, *part, context.ids[rows], outcome, setup, epsilon, scale)
        if len(apparent.robust) == 0:
            return warn_above(name, 1, 0, "not shown: PGD breaks all images on the obfuscated copy too")
        share = 0.0 if black_box(apparent).verdict == "fail" else len(apparent.robust) / len(rows)
    return at_most(name, share, 0, "share that looks robust on an obfuscated copy, unnoticed by black_box")
