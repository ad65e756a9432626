"""Our attacks beside those of pyautoattack, AutoAttack as a package: the same steps, no weaker verdicts."""

from __future__ import annotations

import pytest
import torch
from digits_net import trained
from known_models import Curved
from torch import Tensor

from robustness.attacks import Setup, attack
from robustness.attacks.apgd import APGD
from robustness.attacks.attacked_model import AttackedModel
from robustness.attacks.engine import search
from robustness.attacks.suites import ladder

pyautoattack = pytest.importorskip("pyautoattack", reason="needs the extra [dev]")


@pytest.mark.parametrize(("norm", "theirs", "epsilon"), [("linf", "Linf", 0.01), ("l2", "L2", 0.05)])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_ten_steps_of_apgd_from_the_same_start_are_the_same(
    norm: str, theirs: str, epsilon: float, loss: str
) -> None:
    model = Curved(48)
    images = 0.3 + 0.4 * torch.rand(32, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    labels = model(images).argmax(1)
    ours = APGD(norm=norm, steps=10, loss=loss)
    begun: dict[str, Tensor] = {}
    start = ours.start

    def remember(*arguments: object) -> dict[str, Tensor]:
        state = start(*arguments)
        begun.setdefault("x", state["x"].clone())
        return state

    ours.start = remember
    found = search(ours, AttackedModel(model), images, labels, range(32), epsilon, stop_early=False)
    other = pyautoattack.autoattack.APGDAttack(
        lambda x: model(x).float(), n_iter=10, n_restarts=1, norm=theirs, eps=epsilon, loss=loss, seed=0,
        device="cpu", verbose=False,
    )  # fmt: skip
    other.init_hyperparam(images)
    best = other.attack_single_run(images, labels, x_init=begun["x"].contiguous())[0]
    # Of a broken image this project keeps the point that breaks it, not the one of the largest loss.
    stands = torch.from_numpy(~found.broken)
    assert stands.sum() >= 8
    assert torch.allclose(found.images[stands], best[stands], atol=1e-5 if norm == "linf" else 5e-5)


@pytest.mark.parametrize("training", [0.0, 4 / 255])
def test_robust_accuracy_is_at_most_one_image_in_a_hundred_above_autoattacks(training: float) -> None:
    model, images, labels = trained(training, width=4)
    images, labels, epsilon = images[:60], labels[:60], 2 / 255
    table = attack(model, images, labels, ladder("standard", "linf", 3), [epsilon], Setup(), keep=0).table
    stands = torch.tensor(table.loc[table["epsilon"] == epsilon, "robust"].to_numpy())
    theirs = pyautoattack.AutoAttack(model, norm="Linf", eps=epsilon, seed=0, device="cpu")
    theirs.fab.n_restarts = theirs.fab.n_target_classes = 9
    with torch.enable_grad():
        points = theirs.run_standard_evaluation(images, labels, batch_size=100)
    points = points[0] if isinstance(points, tuple) else points
    with torch.no_grad():
        left = model(points).argmax(1) == labels
    missed = int((stands & ~left).sum())
    assert missed <= 1, f"AutoAttack breaks {missed} images that stand here"
    assert 0 < stands.sum() < 60
