"""Adversarial evaluation: per-example robustness at each ε in the worst case over a suite of attacks.

``attack`` gives the table ``attacks`` and adversarial examples. A file of this folder that registers an
attack is found because it lies here.
"""

from __future__ import annotations

from robustness.attacks.checkpoints import FolderCheckpoints
from robustness.attacks.evaluation import Outcome, Setup, attack
from robustness.attacks.gradients import gradients
from robustness.attacks.noise_study import eot_sweep, noise_modes
from robustness.attacks.registry import get, names, plan
from robustness.attacks.settings import AttackSettings
from robustness.attacks.suite import attack_in_all_norms, attacked_by_pgd
from robustness.attacks.transfer import transfer
from robustness.registry import import_all

__all__ = [
    "AttackSettings",
    "FolderCheckpoints",
    "Outcome",
    "Setup",
    "attack",
    "attack_in_all_norms",
    "attacked_by_pgd",
    "eot_sweep",
    "get",
    "gradients",
    "names",
    "noise_modes",
    "plan",
    "transfer",
]

import_all(__name__)
