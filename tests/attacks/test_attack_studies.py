"""Noise studies, transfer, going on after an interruption, and what is refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from victims import Counting, linear_case

from robustness.attacks import FolderStore, Setup, draws_sweep, evaluate, noise_modes, transfer
from robustness.errors import UserError

Case = tuple[nn.Module, Tensor, Tensor]
SUITE = {"pgd": {"steps": 4}, "fgsm": {}, "square": {"steps": 5}}
EPSILONS = [2 / 255, 8 / 255]


def test_noise_modes_are_compared_at_the_same_budgets(noisy_digits: Case) -> None:
    model, images, labels = noisy_digits
    found = noise_modes(
        model, images[:24], labels[:24], {"pgd": {"steps": 5}}, [4 / 255], setup=Setup(draws=4, score_draws=8)
    )
    assert found["noise"].tolist() == ["live", "live", "frozen", "frozen", "off", "off"]
    assert found["epsilon"].tolist() == [0, 4 / 255] * 3
    assert found["draws"].tolist() == [4, 4, 1, 1, 1, 1]
    for _, part in found.groupby("noise"):
        clean, robust = part["robust_accuracy"]
        assert robust <= clean
    assert ((found["low"] <= found["robust_accuracy"]) & (found["robust_accuracy"] <= found["high"])).all()
    assert (found["n"] == 24).all()


def test_the_sweep_over_draws_stops_where_it_is_flat() -> None:
    """Without noise every number of draws gives the same: two flat steps, then it stops."""
    model, images, labels = linear_case()
    counts = (1, 2, 4, 8, 16)
    found = draws_sweep(model, images, labels, {"pgd": {"steps": 3}}, 0.001, counts)
    assert found["draws"].tolist() == [1, 2, 4]
    assert found["flat"].tolist() == [False, True, True]


def test_transfer_of_known_images() -> None:
    """Images moved over the boundary fool, images that were not moved do not."""
    model, images, labels = linear_case(margin=1.0)
    with torch.no_grad():
        over = images - 1.5 * model.weight / model.weight.square().sum()
    found = transfer(model, "target", {"moved": over, "still": images[:4]}, images, labels, 0.1)
    assert found["source"].tolist() == ["moved", "still"]
    assert found["fooled"].tolist() == [1.0, 0.0]
    assert found["accuracy"].tolist() == [0.0, 1.0]
    assert found["n"].tolist() == [6, 4]
    wrong = transfer(model, "target", {"moved": over}, images, 0 * labels, 0.1)
    assert wrong["n"].tolist() == [0]
    assert wrong["fooled"].isna().all()
    with pytest.raises(UserError, match="adversarials of odd: shape"):
        transfer(model, "target", {"odd": torch.rand(2, 3, 5, 5)}, images, labels, 0.1)


def run(model: nn.Module, case: Case, store: FolderStore | None, **options: object) -> pd.DataFrame:
    _, images, labels = case
    return evaluate(model, images[:20], labels[:20], SUITE, EPSILONS, store=store, batch_size=32, **options)


@pytest.mark.parametrize("which", ["digits", "noisy_digits"])
def test_it_goes_on_at_the_last_finished_attack_and_budget(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    case: Case = request.getfixturevalue(which)
    whole = Counting(case[0])
    expected = run(whole, case, None)
    # Broken off later and later: what is finished is never computed again.
    store, kept = FolderStore(tmp_path), [0]
    for at in range(3, len(whole.sizes), 3):
        try:
            run(Counting(case[0], fail_at=at), case, store)
        except KeyboardInterrupt:
            kept.append(len(store))
        if kept[-1] >= 3:
            break
    assert kept == sorted(kept)
    assert kept[-1] >= 3
    again = Counting(case[0])
    pd.testing.assert_frame_equal(run(again, case, store), expected)
    assert sum(again.sizes) < sum(whole.sizes)
    done = Counting(case[0])
    pd.testing.assert_frame_equal(run(done, case, store), expected)
    assert sum(done.sizes) == 20, "a finished evaluation looks at the clean images alone"


def test_other_settings_images_or_weights_are_computed_anew(digits: Case, tmp_path: Path) -> None:
    model, images, labels = digits
    store = FolderStore(tmp_path)
    run(model, digits, store)
    kept = len(store)
    assert kept == len(SUITE) * len(EPSILONS)
    run(model, digits, store, seed=1)
    assert len(store) == 2 * kept
    run(model, (model, images.flip(0), labels.flip(0)), store)
    assert len(store) == 3 * kept
    run(model, digits, store)
    assert len(store) == 3 * kept


def test_a_damaged_file_is_computed_anew(digits: Case, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    expected = run(digits[0], digits, store)
    for number, path in enumerate(sorted(tmp_path.glob("*.npz"))):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if number % 2 else b"")
    pd.testing.assert_frame_equal(run(digits[0], digits, store), expected)
    assert not [name for name in os.listdir(tmp_path) if not name.endswith(".npz")]


def change(index: int, value: float) -> Tensor:
    images = torch.full((4, 3, 8, 8), 0.5)
    images.view(-1)[index] = value
    return images


def logits(x: Tensor) -> Tensor:
    return x.flatten(1)[:, :10]


IMAGES, LABELS = torch.rand(4, 3, 8, 8), torch.arange(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"images": change(5, 1.01)}, r"images: values lie in \[0.5, 1.01\], not in \[0, 1\]"),
        ({"images": change(5, -0.1)}, r"not in \[0, 1\]"),
        ({"images": change(5, float("nan"))}, r"not in \[0, 1\]"),
        ({"images": IMAGES[0]}, "need a float tensor"),
        ({"images": (255 * IMAGES).byte()}, "need a float tensor"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "there are none"),
        ({"labels": LABELS + 10}, "labels: lie in 10…13, the model has classes 0…9"),
        ({"labels": LABELS - 1}, "labels: lie in -1…2"),
        ({"labels": LABELS.float()}, "need whole numbers"),
        ({"labels": LABELS[:3]}, r"need whole numbers of shape \(4,\)"),
        ({"epsilons": [-0.1]}, "-0.1 is no budget"),
        ({"epsilons": [float("inf")]}, "inf is no budget"),
        ({"epsilons": []}, "there are none"),
        ({"epsilons": [0.1, 0.1]}, "one stands there twice"),
        ({"suite": ["pdg"]}, "attack 'pdg' is unknown; .*pgd"),
        ({"suite": {"pgd": {"stpes": 3}}}, "unknown setting 'stpes'; .*steps"),
        ({"suite": {"pgd": {"steps": 0}}}, "steps is 0; use a whole number from 1"),
        ({"suite": []}, "names no attack"),
        ({"suite": [3]}, "3 is no attack"),
        ({"suite": ["pgd", "pgd"]}, "used twice"),
        ({"suite": ["square"], "norm": "l1"}, "has no norm l1; it has"),
        ({"norm": "l3"}, "l3"),
        ({"sweep": "sideways"}, "sweep 'sideways' is unknown"),
        ({"noise": "loud"}, "loud"),
        ({"samples": [1, 2]}, "samples: need one for each of the 4 images"),
        ({"model": lambda x: logits(x).softmax(1)}, "gives probabilities"),
        ({"model": lambda x: logits(x) * float("nan")}, "NaN or infinite logits for 4 of 4"),
        ({"model": lambda x: logits(x)[:2]}, "one row of logits an image"),
    ],
)
def test_a_mistake_is_refused_in_one_line_before_any_attack(call: dict, message: str) -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return call.get("model", logits)(x)

    arguments = {"images": IMAGES, "labels": LABELS, "suite": ["pgd"], "epsilons": [0.1]} | call
    arguments.pop("model", None)
    model = Counting(Model())
    with pytest.raises(UserError, match=message) as refused:
        evaluate(model, **arguments)
    assert "\n" not in str(refused.value)
    assert len(model.sizes) <= 2
