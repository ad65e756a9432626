"""Controls: attacks and checks on models of which it is known what they must find."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from robustness.attacks.checks.context import CheckContext
from robustness.attacks.checks.strength import black_box
from robustness.attacks.checks.verdict import Check, at_most
from robustness.attacks.evaluation import attack
from robustness.attacks.pgd import PGD

UNDEFENDED = 8 / 255  # the L∞ ε at which a model without a defence falls to about 0
COUNT, STEPS = 4, 10  # of the negative control: images, steps of PGD


def positive_control(context: CheckContext) -> Check:
    """A model without a defence must fall to about 0 at L∞ 8/255, or at the largest ε that is attacked:
    strokes of black and white stand more than photographs."""
    rows = np.arange(len(context.ids))[: context.scale.samples]
    epsilon = max([UNDEFENDED, *context.epsilons])
    found = context.search(PGD(steps=20), rows, epsilon, stream="twin")
    robust = 1 - context.broken(found.images, rows).mean()
    detail = f"robust accuracy without a defence at L∞ {255 * epsilon:.3g}/255"
    return at_most("positive_control", robust, 0.25, detail, "weak")


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
    name, epsilon = "negative_control", context.epsilons[-1]
    rows = context.at(epsilon)
    fell = rows[rows["clean_correct"] & ~rows["robust"]].sort_values("distance", kind="stable")
    rows = np.array(fell.index[:COUNT])
    if len(rows) == 0 or not isinstance(context.model.model, nn.Module):
        return at_most(name, 1, 0, "not run: no module, or no image that the suite breaks", "small")
    copy, device, setup = Obfuscated(context.model.model), context.model.device, context.setup
    part = context.images[rows], context.labels[rows]
    outcome = attack(
        copy, *part, {"pgd": {"steps": STEPS}}, [epsilon], setup, samples=context.ids[rows], device=device
    )
    scale = context.scale.model_copy(update={"black_box_images": len(rows)})
    with setup.attacked(copy, device) as attacked:
        apparent = CheckContext(attacked, *part, context.ids[rows], outcome, setup, scale)
        robust = apparent.at(epsilon)["robust"]
        if not robust.any():
            return at_most(name, 1, 0, "not shown: PGD breaks all images of the obfuscated copy too", "small")
        share = robust.mean() if black_box(apparent, epsilon).verdict == "ok" else 0.0
    detail = "share that looks robust on an obfuscated copy, unnoticed by black_box"
    return at_most(name, share, 0, detail, "weak")
