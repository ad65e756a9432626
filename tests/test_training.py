"""The training loop: it learns, resumes exactly, repeats exactly, and refuses to go on when it diverges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from robustness import models
from robustness.data.image_set import ImageSet
from robustness.errors import UserError
from robustness.training import Recipe, one_cycle, perturb, self_organise, train

RECIPE = Recipe(
    batch_size=16, epochs=4, learning_rate=2e-3, weight_decay=0.01, label_smoothing=0.1, translate_pixels=2
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def coloured_squares(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """96 images of 32 pixels in two classes: a red or a blue square somewhere on grey noise."""
    generator = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("squares") / "set"
    rows = []
    with ImageSet.create(folder, 96, 32, ["red", "blue"], masks=False) as writer:
        for i in range(96):
            label = i % 2
            image = generator.integers(100, 156, (32, 32, 3))
            y, x = generator.integers(0, 16, 2)
            image[y : y + 16, x : x + 16] = (220, 40, 40) if label == 0 else (40, 40, 220)
            writer.images[i] = image
            split = "train" if i < 64 else "validation"
            rows.append((split, "canonical", f"o{i}", label, "clean", "none", "0"))
        table = pd.DataFrame(rows, columns=["split", "role", "object", "label", "shift", "factor", "level"])
        return writer.finish(table)


def fresh(frontend: str = "learned", training: str = "canonical") -> models.Classifier:
    return models.build(
        models.ModelSpec("resnet18", frontend, training, num_classes=2, image_size=32, seed=3, width=0.125)
    )


def run(images: ImageSet, resume: Path, recipe: Recipe = RECIPE, model=None, **kwargs):
    model = model or fresh()
    history = train(
        model,
        images,
        images.rows(split="train"),
        images.rows(split="validation"),
        recipe,
        seed=5,
        device=CPU,
        resume=resume,
        **kwargs,
    )
    return model, history


def test_learns_what_is_easy(coloured_squares: ImageSet, tmp_path: Path) -> None:
    _, history = run(coloured_squares, tmp_path / "state.pt", RECIPE.changed({"epochs": 8}))
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert history["validation_accuracy"].iloc[-1] >= 0.9
    assert list(history["epoch"]) == list(range(1, 9))


@pytest.mark.parametrize("training", ["canonical", "adversarial"])
def test_interrupted_training_ends_as_the_uninterrupted(
    coloured_squares: ImageSet, tmp_path: Path, training: str
) -> None:
    whole, history = run(coloured_squares, tmp_path / "a.pt", model=fresh(training=training))

    def interrupt(epoch: int, *_: float) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    resume = tmp_path / "b.pt"
    with pytest.raises(KeyboardInterrupt):
        run(coloured_squares, resume, model=fresh(training=training), progress=interrupt)
    epochs: list[int] = []
    again, resumed = run(
        coloured_squares, resume, model=fresh(training=training), progress=lambda e, *_: epochs.append(e)
    )
    assert epochs == [3, 4], "the finished epochs are not done twice"
    pd.testing.assert_frame_equal(history, resumed)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_state_of_another_recipe_is_not_taken_up(coloured_squares: ImageSet, tmp_path: Path) -> None:
    run(coloured_squares, tmp_path / "state.pt", RECIPE.changed({"epochs": 1}))
    epochs: list[int] = []
    other = RECIPE.changed({"learning_rate": 1e-3})
    run(coloured_squares, tmp_path / "state.pt", other, progress=lambda e, *_: epochs.append(e))
    assert epochs == [1, 2, 3, 4]


def test_diverged_training_is_refused(coloured_squares: ImageSet, tmp_path: Path) -> None:
    with torch.no_grad():
        broken = fresh()
        next(iter(broken.parameters())).fill_(float("nan"))
    with pytest.raises(UserError, match="diverged"):
        run(coloured_squares, tmp_path / "state.pt", model=broken)


def test_a_cpu_trains_in_float32_whatever_the_recipe_says(coloured_squares: ImageSet, tmp_path: Path) -> None:
    histories = [
        run(coloured_squares, tmp_path / precision, RECIPE.changed({"epochs": 1, "precision": precision}))[1]
        for precision in ("float32", "bfloat16")
    ]
    pd.testing.assert_frame_equal(*histories)


def test_noisy_front_end_gives_the_same_history_again(coloured_squares: ImageSet, tmp_path: Path) -> None:
    recipe = RECIPE.changed({"epochs": 2})
    histories = []
    for name in "ab":
        torch.manual_seed(len(histories))  # nothing may come from the global generator
        histories.append(run(coloured_squares, tmp_path / name, recipe, fresh("vone"))[1])
    pd.testing.assert_frame_equal(*histories)


def test_one_cycle_rises_for_a_quarter_and_ends_at_zero() -> None:
    factor = one_cycle(100)
    values = [factor(step) for step in range(101)]
    assert max(values) == values[24] == 1.0
    assert values[:25] == sorted(values[:25])
    assert values[25:] == sorted(values[25:], reverse=True)
    assert abs(values[100]) < 1e-12


@pytest.mark.parametrize("steps", [1, 3])
def test_perturb_raises_the_loss_within_the_budget(steps: int) -> None:
    torch.manual_seed(0)
    model = fresh().eval()
    x, y = torch.rand(8, 3, 32, 32), torch.arange(8) % 2
    recipe = RECIPE.changed({"adversarial_epsilon": 4.0, "adversarial_steps": steps})
    out = perturb(model, x, y, recipe)
    assert (out - x).abs().max() <= 4 / 255 + 1e-6
    assert out.min() >= 0
    assert out.max() <= 1
    loss = torch.nn.functional.cross_entropy
    assert loss(model(out), y) > loss(model(x), y)


def test_a_noisy_net_organises_itself_the_same_whatever_the_process_did_before(
    coloured_squares: ImageSet,
) -> None:
    """The layers of the Neocognitron are learnt through the front-end's live noise."""
    states = []
    for earlier in (1, 2):
        spec = models.ModelSpec(
            "neocognitron", "vone", "canonical", num_classes=2, image_size=32, seed=3,
            frontend_options={"simple_channels": 4, "complex_channels": 4, "minimum_stride": 4},
        )  # fmt: skip
        model = models.build(spec)
        torch.manual_seed(earlier)
        rows = coloured_squares.rows(split="train")
        before = torch.get_rng_state()
        self_organise(model, coloured_squares, rows, seed=5, device=CPU, limit=24)
        assert torch.equal(torch.get_rng_state(), before)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
