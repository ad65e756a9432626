"""Noise studies, transfer, going on after an interruption, and what is refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
import torch
from known_models import Counting, linear_case
from torch import Tensor, nn

from robustness.attacks import FolderCheckpoints, Setup, attack, eot_sweep, gradients, noise_modes, transfer
from robustness.attacks.checks import transferred
from robustness.errors import UserError

Case = tuple[nn.Module, Tensor, Tensor]
SUITE = {"pgd": {"steps": 4}, "fgsm": {}, "square": {"steps": 5}}
EPSILONS = [2 / 255, 8 / 255]


def test_noise_modes_are_compared_at_the_same_budgets(noisy_digits: Case) -> None:
    model, images, labels = noisy_digits
    setup = Setup(eot_samples=4, eval_samples=8)
    found = noise_modes(model, images[:24], labels[:24], {"pgd": {"steps": 5}}, [4 / 255], setup)
    modes = ["live", "frozen", "off", "transferred"]
    assert found["noise"].tolist() == [mode for mode in modes for _ in range(2)]
    assert found["epsilon"].tolist() == [0, 4 / 255] * 4
    assert found["eot_samples"].tolist() == [4, 4, 1, 1, 1, 1, 1, 1]
    for _, part in found.groupby("noise"):
        clean, robust = part["robust_accuracy"]
        assert robust <= clean
    assert ((found["low"] <= found["robust_accuracy"]) & (found["robust_accuracy"] <= found["high"])).all()
    assert (found["n"] == 24).all()


def test_the_eot_sweep_stops_where_it_is_flat() -> None:
    """Without noise every number of samples gives the same: two flat steps, then it stops."""
    model, images, labels = linear_case()
    counts = (1, 2, 4, 8, 16)
    found = eot_sweep(model, images, labels, {"pgd": {"steps": 3}}, 0.001, counts, Setup())
    assert found["eot_samples"].tolist() == [1, 2, 4]
    assert found["flat"].tolist() == [False, True, True]


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", torch.inf)])
def test_the_gradient_gives_the_distance_of_a_linear_model(norm: str, dual: float) -> None:
    model, images, labels = linear_case(margin=1.0)
    labels[0] = 0  # misclassified
    found = gradients(model, images, labels, Setup(norm=norm, batch_size=4))
    expected = 1 / model.weight.detach().flatten().norm(p=dual).item()
    assert found["distance"].tolist() == pytest.approx([0, *[expected] * (len(images) - 1)], rel=1e-4)
    assert found["agreement"].tolist() == pytest.approx([1] * len(images), abs=1e-5)
    assert set(found["noise"]) == {"none"}


def test_noise_hides_the_direction_of_the_gradient_and_averaging_finds_it(noisy_digits: Case) -> None:
    model, images, labels = noisy_digits
    setups = [Setup(eot_samples=1), Setup(eot_samples=32), Setup(noise="off")]
    one, many, off = (gradients(model, images[:24], labels[:24], each) for each in setups)
    # The variance of a mean falls as one over the samples, and with it 1 − cosine.
    assert (1 - one["agreement"].mean()) / (1 - many["agreement"].mean()) == pytest.approx(32, rel=0.5)
    assert off["agreement"].tolist() == pytest.approx([1] * 24, abs=1e-5)
    assert (set(one["noise"]), set(off["noise"])) == ({"live"}, {"off"})


def test_transfer_of_known_images() -> None:
    """Images moved over the boundary fool, images that were not moved do not."""
    model, images, labels = linear_case(margin=1.0)
    with torch.no_grad():
        over = images - 1.5 * model.weight / model.weight.square().sum()
    found = transfer(model, "target", {"moved": over, "still": images[:4]}, images, labels, 0.1, Setup())
    right = found.groupby("source")["right"]
    assert right.mean().to_dict() == {"moved": 0.0, "still": 1.0}
    assert right.size().to_dict() == {"moved": len(images), "still": 4}
    assert (found["clean_right"] == 1).all()
    with pytest.raises(UserError, match="adversarials of odd: shape"):
        transfer(model, "target", {"odd": torch.rand(2, 3, 5, 5)}, images, labels, 0.1, Setup())


def test_what_another_models_images_break_is_an_attack_too_weak() -> None:
    """Five images stand by the model's own attacks; those of another break two of them, or none."""
    same = {"norm": "linf", "epsilon": 0.1, "sample": range(6)}
    fell = {"rung": [0] * 5 + [1], "right": [1.0] * 5 + [0.0]}
    attacks = pd.DataFrame({"model": "net", "variant": "worst", **same, **fell})
    shown = pd.DataFrame({"source": "other", "target": "net", **same, "clean_right": 1.0, "right": 1.0})
    own = shown.assign(source="net", right=0.0)  # its own images, which do not count
    for broken, verdict in (([], "ok"), ([1, 3], "weak")):
        shown.loc[broken, "right"] = 0.0
        (check,) = transferred(pd.concat([own, shown]), attacks).itertuples()
        assert (check.model, check.check, check.verdict) == ("net", "transfer", verdict)
        assert f"{len(broken)} of 5" in check.detail
    assert transferred(shown, attacks.assign(rung=1)).empty


def run(
    model: nn.Module, case: Case, checkpoints: FolderCheckpoints | None, **options: object
) -> pd.DataFrame:
    _, images, labels = case
    setup = Setup(batch_size=32, **options)
    return attack(model, images[:20], labels[:20], SUITE, EPSILONS, setup, checkpoints=checkpoints).table


def finished(folder: Path) -> int:
    return len(list(folder.glob("*.npz")))


@pytest.mark.parametrize("which", ["digits", "noisy_digits"])
def test_it_goes_on_at_the_last_finished_attack_and_budget(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    case: Case = request.getfixturevalue(which)
    whole = Counting(case[0])
    expected = run(whole, case, None)
    # Broken off later and later: what is finished is never computed again.
    checkpoints, kept = FolderCheckpoints(tmp_path), [0]
    for at in range(3, len(whole.sizes), 3):
        try:
            run(Counting(case[0], fail_at=at), case, checkpoints)
        except KeyboardInterrupt:
            kept.append(finished(tmp_path))
            assert not list(tmp_path.glob(".*")), "no half file is left"
        if kept[-1] >= 3:
            break
    assert kept == sorted(kept)
    assert kept[-1] >= 3
    again = Counting(case[0])
    pd.testing.assert_frame_equal(run(again, case, checkpoints), expected)
    assert sum(again.sizes) < sum(whole.sizes)
    done = Counting(case[0])
    pd.testing.assert_frame_equal(run(done, case, checkpoints), expected)
    verdicts = 20 * (len(EPSILONS) + 2) if which == "noisy_digits" else 0
    assert sum(done.sizes) <= 20 + verdicts, "a finished evaluation attacks nothing"


def test_other_settings_images_or_weights_are_computed_anew(digits: Case, tmp_path: Path) -> None:
    model, images, labels = digits
    checkpoints = FolderCheckpoints(tmp_path)
    run(model, digits, checkpoints)
    kept = finished(tmp_path)
    assert kept == len(SUITE) * len(EPSILONS)
    run(model, digits, checkpoints, seed=1)
    assert finished(tmp_path) == 2 * kept
    run(model, (model, images.flip(0), labels.flip(0)), checkpoints)
    assert finished(tmp_path) == 3 * kept
    run(model, digits, checkpoints)
    assert finished(tmp_path) == 3 * kept


def test_a_damaged_file_is_computed_anew(digits: Case, tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    expected = run(digits[0], digits, checkpoints)
    for number, path in enumerate(sorted(tmp_path.glob("*.npz"))):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if number % 2 else b"")
    pd.testing.assert_frame_equal(run(digits[0], digits, checkpoints), expected)
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
        ({"suite": {"pdg": {}}}, "attack 'pdg' is unknown; .*pgd"),
        ({"suite": {"pgd": {"stpes": 3}}}, "unknown setting 'stpes'; .*steps"),
        ({"suite": {"pgd": {"steps": 0}}}, "steps is 0; use a whole number from 1"),
        ({"suite": {}}, "names no attack"),
        ({"suite": {"square": {}}, "norm": "l1"}, "has no norm l1; it has"),
        ({"norm": "l3"}, "l3"),
        ({"noise": "loud"}, "loud"),
        ({"samples": [1, 2]}, "samples: need one for each of the 4 images"),
        ({"model": lambda x: logits(x).softmax(1)}, "gives probabilities"),
        ({"model": lambda x: logits(x) * float("nan")}, "NaN or infinite logits for 4 of 4"),
        ({"model": lambda x: logits(x)[:2]}, "one row of logits per image"),
    ],
)
def test_a_mistake_is_refused_in_one_line_before_any_attack(call: dict, message: str) -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return call.get("model", logits)(x)

    arguments = {"images": IMAGES, "labels": LABELS, "suite": {"pgd": {}}, "epsilons": [0.1]} | call
    arguments.pop("model", None)
    setup = {key: arguments.pop(key) for key in ("norm", "noise") if key in arguments}
    model = Counting(Model())
    with pytest.raises(UserError, match=message) as refused:
        attack(model, setup=Setup(**setup), **arguments)
    assert "\n" not in str(refused.value)
    assert len(model.sizes) <= 2
