"""The check that needs other models: do images made for them break what the model's own suite left?"""

from __future__ import annotations

import pandas as pd

from robustness.attacks.checks.strength import BY_CHANCE
from robustness.attacks.checks.verdict import Check, at_most, table
from robustness.attacks.variants import WHOLE
from robustness.statistics.proportions import at_least_exact

CLEARLY = 0.9  # the share of right answers of an image that stands beyond the doubt of a few noise samples


def transferred(transfer: pd.DataFrame, attacks: pd.DataFrame) -> pd.DataFrame:
    """The table ``checks`` of the targets of the table ``transfer``, a row for each of which images stand.

    attacks: the table of the same models, ε and images. An image counts as broken by another model's
    adversarial image if no answer to that was right. Judged by the exact lower bound (95 %) of the share.
    """
    whole = attacks[(attacks["variant"] == WHOLE) & (attacks["rung"] == 0) & (attacks["right"] >= CLEARLY)]
    standing = whole[["model", "norm", "epsilon", "sample"]].rename(columns={"model": "target"})
    others = transfer[transfer["source"] != transfer["target"]]
    shown = others.merge(standing, on=["target", "norm", "epsilon", "sample"])
    lowest = shown.groupby(["target", "epsilon", "sample"], sort=False)["right"].min()
    parts = [table(str(target), [_check(lowest[target], epsilon)])
             for target, epsilon in lowest.index.droplevel("sample").unique()]  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else table("", [])


def _check(lowest: pd.Series, epsilon: float) -> Check:
    """lowest: of each image that stands the share of right answers, on the worst of the others' images."""
    broken, count = int((lowest == 0).sum()), len(lowest)
    detail = f"images made for other models break {broken} of {count} that stand; the share at least (95 %)"
    return at_most("transfer", at_least_exact(broken, count), BY_CHANCE, detail, "weak", epsilon)
