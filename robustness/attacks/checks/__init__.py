"""The checks that make a robust accuracy one to trust, or say why not: table ``checks``.

``run`` gives model, check, epsilon, verdict (``VERDICTS``), figure, limit, detail. After Carlini 2019, Tramèr
2020, Croce & Hein 2020, Pintor 2022 and Zimmermann 2022.
"""

from __future__ import annotations

from robustness.attacks.checks.context import Scale, telling_epsilon
from robustness.attacks.checks.runner import run
from robustness.attacks.checks.transferred import transferred
from robustness.attacks.checks.verdict import VERDICTS, worst

__all__ = ["VERDICTS", "Scale", "run", "telling_epsilon", "transferred", "worst"]
