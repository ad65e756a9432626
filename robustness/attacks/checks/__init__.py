"""The checks that make a robust accuracy one to trust, or mark it: table ``checks``.

``run`` gives model, check, verdict (pass, warn, fail), figure, limit, detail. ``trustworthy`` says for each
model whether none failed. The thirteen points of the reference are: 1 epsilon_zero; 2 perturbation_size,
image_range, logits, batch_independence; 3 monotone, inferred; 4 unbounded; 5 beats_fgsm, more_steps,
loss_flat; 6 black_box, decision_based (transfer has a table of its own); 7 random_noise; 8 graph, gradients,
gradient_values; 9 silent_success; 10 loss_stability; 11 eot_flat, frozen_noise, noise_off, score_interval; 12
positive_control, negative_control; 13 worst_case, sample_size.
"""

from __future__ import annotations

from robustness.attacks.checks.context import Scale, reference_epsilon
from robustness.attacks.checks.runner import run
from robustness.attacks.checks.verdict import trustworthy

__all__ = ["Scale", "reference_epsilon", "run", "trustworthy"]
