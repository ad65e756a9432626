"""Speed of gradient ascent and inversion: units, regularisers, starts in one batch, against loops.

Run: ``python -m benchmarks.probe_speed [--device cuda] [--repeats 3]``. The loop runs the same engine one job
at a time; both stop at the target layer, the ratio is what batching alone gives. The other loop is Lucent's
(its Fourier space and its transforms, for the channel of the same unit). Contestants take turns in one
process; figures are medians of ratios.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch import nn

from benchmarks.timing import Ratio, Row, ratio, write_record
from robustness import models
from robustness.probes.ascent_engine import Job, ascend
from robustness.probes.fourier import NaturalStatistics
from robustness.probes.inversion_engine import invert
from robustness.probes.layers import probing, stage_paths
from robustness.probes.regularisers import REGULARISERS
from robustness.probes.targets import before_rectification, find_canvas

CASES = {  # architecture, front-end, width, stage
    "resnet18 ¼, middle": ("resnet18", "learned", 0.25, "middle"),
    "resnet18 ¼, early": ("resnet18", "learned", 0.25, "early"),
    "resnet18_vone ¼, middle": ("resnet18", "vone", 0.25, "middle"),
    "lenet5, middle": ("lenet5", "learned", 1.0, "middle"),
    "efficientnet_b0 ¼, late": ("efficientnet_b0", "learned", 0.25, "late"),
}
ITERATIONS = 8


def measure_ascent(
    model: nn.Module, stage: str, images: torch.Tensor, device: torch.device, repeats: int
) -> tuple[Ratio, Ratio]:
    """All of two units, all regularisers and two starts in one batch, against one after the other and against
    as many of Lucent's."""
    from lucent.optvis import param
    from lucent.optvis.render import render_vis

    jobs = [
        Job(unit, setting, start) for unit in (0, 1) for setting in REGULARISERS.values() for start in (0, 1)
    ]
    path = stage_paths(model, [stage])[stage]
    with probing(model, seed=0):
        target = before_rectification(model, stage, path, images[:1])
        canvas = find_canvas(model, target, images.shape[-2:])
        statistics = NaturalStatistics.of(canvas.field(images))

        def batched() -> None:
            ascend(model, target, canvas, jobs, statistics, iterations=ITERATIONS)

        def loop() -> None:
            for job in jobs:
                ascend(model, target, canvas, [job], statistics, iterations=ITERATIONS)

        def lucent() -> None:
            layer = path.replace(".", "_")
            for job in jobs:
                render_vis(
                    model, f"{layer}:{job.unit}", partial(param.image, images.shape[-1]),
                    thresholds=(ITERATIONS,), preprocess=False, fixed_image_size=images.shape[-1],
                    show_image=False, progress=False,
                )  # fmt: skip

        return tuple(ratio(peer, batched, device, repeats) for peer in (loop, lucent))


def measure_inversion(
    model: nn.Module, stage: str, images: torch.Tensor, device: torch.device, repeats: int
) -> Ratio:
    """Twenty reconstructions: four images, five starts."""
    path = stage_paths(model, [stage])[stage]
    pictures = images[:4].repeat_interleave(5, dim=0)
    ids, starts = [i for i in range(4) for _ in range(5)], [0, 1, 2, 3, 4] * 4
    mean = pictures.mean((0, 2, 3))
    options = dict(weight=20.0, iterations=(ITERATIONS, 2), seed=0, mean=mean)
    with probing(model, seed=0):

        def batched() -> None:
            invert(model, path, pictures, starts=starts, ids=ids, **options)

        def loop() -> None:
            for index in range(len(pictures)):
                one = slice(index, index + 1)
                invert(model, path, pictures[one], starts=starts[one], ids=ids[one], **options)

        return ratio(loop, batched, device, repeats)


def main() -> None:
    """Run all cases, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    device, rows = torch.device(arguments.device), []
    images = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(device)
    for name, (architecture, frontend, width, stage) in CASES.items():
        spec = models.ModelSpec(
            architecture, frontend, "canonical", 10, 64, seed=0, width=width,
            frontend_options={"simple_channels": 64, "complex_channels": 64} if frontend == "vone" else {},
        )  # fmt: skip
        model = models.build(spec).eval().to(device)
        how = (model, stage, images, device, arguments.repeats)
        ascent, lucent = measure_ascent(*how)
        found = [
            Row("ascent in one batch", name, "one after the other", ascent, "≥ 3"),
            Row("ascent in one batch", name, "Lucent, one after the other", lucent, "≥ 3"),
            Row("inversion in one batch", name, "one after the other", measure_inversion(*how), "≥ 3"),
        ]
        print(*found, sep="\n", flush=True)
        rows += found
    write_record("probe_speed", device, rows, threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
