"""Adversarial evaluation: per sample and ε, does any attack of a suite change the model's answer?

``evaluate`` gives the table ``attacks``, ``attack`` the same with adversarial images. foolbox is imported
only when an attack is built.
"""

from __future__ import annotations

from robustness.attacks import catalogue as catalogue  # its entries fill the registry
from robustness.attacks.evaluation import Outcome, Setup, attack, evaluate
from robustness.attacks.noise_study import draws_sweep, noise_modes
from robustness.attacks.registry import get, names, plan
from robustness.attacks.settings import AttackSettings
from robustness.attacks.stores import FolderStore
from robustness.attacks.suite import attack_in_all_norms, attacked_by_pgd
from robustness.attacks.transfer import transfer
from robustness.attacks.views import Examples, examples, loss_over_steps, perturbation_sizes

__all__ = [
    "AttackSettings",
    "Examples",
    "FolderStore",
    "Outcome",
    "Setup",
    "attack",
    "attack_in_all_norms",
    "attacked_by_pgd",
    "draws_sweep",
    "evaluate",
    "examples",
    "get",
    "loss_over_steps",
    "names",
    "noise_modes",
    "perturbation_sizes",
    "plan",
    "transfer",
]
