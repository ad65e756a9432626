"""Training: the whole loop on one page, in the order in which it runs; it resumes after an interruption."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from robustness import frontends
from robustness.augmentation import Augmentation
from robustness.data.image_set import ImageSet
from robustness.errors import UserError
from robustness.models import Classifier, ModelSettings, build
from robustness.seeds import derive, numpy_generator, torch_generator
from robustness.whole_files import whole


class Recipe(Augmentation):
    """How a model is trained: AdamW with a one-cycle learning rate on augmented images.

    All epochs show images at their full size: progressive resizing (Tan and Le, EfficientNetV2, ICML 2021,
    section 4) saves time, but filters of a fixed size in pixels meet other frequencies in a smaller image,
    and nets with a V1 front-end lost two to nine points by it. ``precision`` is that of the forward pass on
    CUDA (bfloat16 under autocast); a CPU always computes in float32, and weights are always float32.
    ``adversarial_epsilon`` (255ths, L∞) and ``adversarial_steps`` are used by adversarial training only.
    """

    batch_size: int = Field(ge=2, le=65536)
    epochs: int = Field(ge=1, le=10000)
    learning_rate: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=1)
    label_smoothing: float = Field(ge=0, lt=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    adversarial_epsilon: float = Field(default=4.0, ge=0, le=255)
    adversarial_steps: int = Field(default=1, ge=1, le=100)

    def changed(self, values: Mapping[str, Any]) -> Recipe:
        """The recipe with other values at some keys; raises UserError for an unknown key or a wrong value."""
        return Recipe.read(self.model_dump() | dict(values))


class DivergedError(UserError):
    """The loss is not finite: the recipe, not the machine, must change."""


Progress = Callable[[int, int, float, float], None]  # epoch, epochs, training loss, validation accuracy


def train(
    model: Classifier,
    images: ImageSet,
    rows: np.ndarray,
    validation_rows: np.ndarray,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    resume: Path,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Train in place on ``rows`` of the image set; returns one row per epoch.

    Columns: epoch, loss (mean training cross-entropy, nats), validation_accuracy (fraction), learning_rate.
    ``resume`` names a file that holds the state after the last finished epoch; a run with another model,
    recipe or seed ignores it. The learning rate warms up over a quarter of the steps, then follows a cosine
    to 0.
    Raises DivergedError, a UserError, if the loss is not finite.
    """
    model.to(device, memory_format=torch.channels_last)
    self_organise(model, images, rows, seed=seed, device=device)
    weights = [p for p in model.parameters() if p.requires_grad]
    decayed = [{"params": [p for p in weights if p.ndim > 1]},
               {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0}]  # fmt: skip
    optimiser = torch.optim.AdamW(
        decayed, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    steps = max(1, len(rows) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, one_cycle(steps * recipe.epochs))
    identity = derive(seed, repr(model.spec), repr(recipe.model_dump()), *map(int, rows))
    history = _load_state(resume, identity, model, optimiser, schedule)
    read = images.on(device, np.concatenate([rows, validation_rows]))

    for epoch in range(len(history), recipe.epochs):
        model.train()
        order = numpy_generator(seed, "order", epoch).permutation(rows)
        losses = []
        for step in range(steps):
            batch = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            generator = torch_generator(seed, "augmentation", epoch, step)
            x = recipe(read(batch), generator).contiguous(memory_format=torch.channels_last)
            y = images.labels(batch).to(device)
            with torch.random.fork_rng():
                torch.manual_seed(derive(seed, "dropout, noise and random starts", epoch, step))
                if model.spec.training == "adversarial":
                    x = perturb(model, x, y, recipe)
                with autocast(device, recipe.precision):
                    logits = model(x).float()
            loss = functional.cross_entropy(logits, y, label_smoothing=recipe.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 5.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.detach())  # asked for at every step, a GPU would wait for the CPU
        total = torch.stack(losses).double().sum().item()
        if not math.isfinite(total):
            raise DivergedError(f"training diverged in epoch {epoch + 1} (loss {total}); lower learning_rate")
        accuracy = validate(model, images, validation_rows, recipe.batch_size, read, seed=seed)
        rate = optimiser.param_groups[0]["lr"]
        history.append({"epoch": epoch + 1, "loss": total / steps, "validation_accuracy": accuracy,
                        "learning_rate": rate})  # fmt: skip
        _save_state(resume, identity, model, optimiser, schedule, history)
        if progress is not None:
            progress(epoch + 1, recipe.epochs, total / steps, accuracy)
    model.eval().cpu()
    return pd.DataFrame(history)


def one_cycle(steps: int) -> Callable[[int], float]:
    """The factor on the learning rate: linear up over the first quarter, then a cosine to 0."""
    warm = max(1, steps // 4)
    return lambda step: (
        (step + 1) / warm
        if step < warm
        else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
    )


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Autocast to bfloat16 on CUDA where asked for; float32 on every CPU.

    A CPU without bfloat16 units falls back to kernels that are 11 to 24 times slower than float32's.
    """
    lower = precision == "bfloat16" and device.type == "cuda"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=lower)


def perturb(model: nn.Module, x: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """Adversarial training's inner maximisation: PGD, L∞ (Madry 2018), from a random start.

    With one step this is fast adversarial training (Wong 2020), whose step is 1.25·ε.
    """
    epsilon = recipe.adversarial_epsilon / 255
    step = epsilon * (1.25 if recipe.adversarial_steps == 1 else 2.5 / recipe.adversarial_steps)
    delta = torch.empty_like(x).uniform_(-epsilon, epsilon)
    for _ in range(recipe.adversarial_steps):
        delta.requires_grad_(True)
        with autocast(x.device, recipe.precision):
            loss = functional.cross_entropy(model((x + delta).clamp(0, 1)).float(), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, delta)
        delta = (delta.detach() + step * gradient.sign()).clamp(-epsilon, epsilon)
    return (x + delta).clamp(0, 1).detach()


@torch.inference_mode()
def validate(
    model: nn.Module,
    images: ImageSet,
    rows: np.ndarray,
    batch: int,
    read: Callable[[np.ndarray], Tensor],
    *,
    seed: int,
) -> float:
    """Accuracy (fraction) on unshifted images, in float32 and eval mode; noise is seeded by (seed, image).

    ``read``: what gives the images of rows on the model's device (``ImageSet.on``).
    """
    model.eval()
    right = 0
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        with frontends.sample_noise(model, [derive(seed, "validation noise", int(row)) for row in part]):
            logits = model(read(part).contiguous(memory_format=torch.channels_last))
        right += int((logits.argmax(1).cpu() == images.labels(part)).sum())
    return right / max(1, len(rows))


def self_organise(
    model: Classifier,
    images: ImageSet,
    rows: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    limit: int = 1000,
) -> None:
    """Unsupervised learning of a network that organises itself (the Neocognitron), on up to ``limit`` images.

    Labels are not used; the layers are fixed afterwards, and only the read-out is trained.
    """
    organise = getattr(model.network, "self_organise", None)
    if organise is None:
        return
    chosen = numpy_generator(seed, "self-organisation").permutation(rows)[:limit]
    with torch.no_grad(), torch.random.fork_rng():
        # A front-end's noise follows the global generator: what the process did before must not matter.
        torch.manual_seed(derive(seed, "noise of the self-organisation"))
        organise(model.normalise(images.batch(chosen).to(device)), seed=derive(seed, "self-organisation"))


def _save_state(
    path: Path, identity: int, model: nn.Module, optimiser, schedule, history: list[dict]
) -> None:
    state = {"identity": identity, "model": model.state_dict(), "optimiser": optimiser.state_dict(),
             "schedule": schedule.state_dict(), "history": history}  # fmt: skip
    # A file, not its name: given a name, torch hides what the disk says.
    with whole(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)


def _load_state(path: Path, identity: int, model: nn.Module, optimiser, schedule) -> list[dict]:
    """Restore the state after the last finished epoch if it belongs to this training, else start anew.

    A damaged file counts as missing; no code in it is run.
    """
    if not path.is_file():
        return []
    try:
        state = torch.load(path, weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, ValueError):
        return []
    if not isinstance(state, dict) or state.get("identity") != identity:
        return []
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    schedule.load_state_dict(state["schedule"])
    return list(state["history"])


SECOND_TRY = 0.3
"""A diverged training is tried once more at this share of its learning rate."""


def train_model(
    name: str,
    settings: ModelSettings,
    recipe: Recipe,
    frontend: Mapping[str, Any],
    images: ImageSet,
    *,
    seed: int,
    device: torch.device,
    state: Path,
    progress: Progress | None = None,
) -> tuple[Classifier, pd.DataFrame, dict[str, Any]]:
    """Train the model of these settings; the model, the history of its epochs, and notes for its checkpoint.

    ``recipe`` and ``frontend`` (options) are those of all models, which the settings may change; ``seed`` is
    that of a model without its own; ``state``: a folder for unfinished work. Raises DivergedError if it
    diverges twice, UserError if the image set has no images for this training.
    """
    recipe, seed = recipe.changed(settings.recipe), settings.seed_or(seed)
    rows = training_rows(images, settings.training)
    spec = settings.spec(len(images.classes), images.image_size, frontend, seed)

    def attempt(recipe: Recipe) -> tuple[Classifier, pd.DataFrame, dict[str, Any]]:
        model = build(spec)
        history = train(
            model,
            images,
            rows,
            images.rows(split="validation", role="canonical"),  # every training is judged by the same images
            recipe,
            seed=seed,
            device=device,
            resume=state / "state.pt",
            progress=progress,
        )
        return model, history, {"recipe": recipe.model_dump(), "images": len(rows)}

    try:
        return attempt(recipe)
    except DivergedError as error:
        recipe = recipe.changed({"learning_rate": SECOND_TRY * recipe.learning_rate})
        print(f"{name}: {error}; once more at {recipe.learning_rate:g}", file=sys.stderr)
        return attempt(recipe)


def training_rows(images: ImageSet, training: str) -> np.ndarray:
    """The rows of the images that a model with that training learns from; UserError if there are none."""
    role = "diverse" if training == "diverse" else "canonical"
    rows = images.rows(split="train", role=role)
    if not len(rows):
        raise UserError(f"image set {images.folder}: has no {role} training images; make the set with them")
    return rows
