"""Training and evaluation of every family of the default grid: images/s, and what bfloat16 gives on a GPU.

``python -m benchmarks.training_speed [--repeats 5] [--device auto]``: some two minutes on one core. The
networks, widths and batches of params.yaml, learned stems, one thread. On a GPU what counts is the
ratio of a training step to one in bfloat16 (above 1: that is faster), in turns, the median; images per second
are of this machine alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median

import torch
from torch.nn import functional

from benchmarks.timing import Row, ratio, seconds, write_record
from pipeline.settings import load
from robustness import models
from robustness.devices import resolve
from robustness.processor import keep_freed_memory
from robustness.training import autocast

CLASSES = 10


def contestants(spec: models.ModelSpec, batch: int, device: torch.device) -> dict[str, Callable[[], object]]:
    """A training step and a forward pass on random images; a step in bfloat16 where the device is a GPU."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(batch, 3, spec.image_size, spec.image_size, generator=generator).to(device)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, CLASSES, (batch,), generator=generator).to(device)
    model = models.build(spec).to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step(precision: str = "float32") -> None:
        model.train()
        optimiser.zero_grad(set_to_none=True)
        with autocast(device, precision):
            loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()

    @torch.inference_mode()
    def forward() -> None:
        model.eval()
        model(x)

    found: dict[str, Callable[[], object]] = {"step": step, "forward": forward}
    if device.type == "cuda":
        found["bfloat16"] = lambda: step(precision="bfloat16")
    return found


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    params, device = load(("data.image_size", "training", "models")), resolve(options.device)
    rows, found = [], {}
    for name, settings in params.models.items():
        if settings.frontend != "learned" or settings.training != "canonical":
            continue
        recipe = params.training.changed(settings.recipe)
        spec = settings.spec(CLASSES, params.data.image_size, {}, 0)
        work = contestants(spec, recipe.batch_size, device)
        rates = {
            f"{what} images/s": recipe.batch_size
            / median(seconds(do, device) for _ in range(options.repeats + 2))
            for what, do in work.items()
        }
        found[name] = {key: round(value) for key, value in rates.items()}
        if "bfloat16" in work:
            gain = ratio(work["step"], work["bfloat16"], device, options.repeats)
            rows.append(Row("training step in bfloat16", name, "in float32", gain))
            print(rows[-1], flush=True)
        print(f"{name:14}{found[name]}", flush=True)
    write_record("training_speed", device, rows, found, threads=1)


if __name__ == "__main__":
    main()
