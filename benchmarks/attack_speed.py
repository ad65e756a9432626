"""Speed of the attacks: a robust-accuracy curve against foolbox, and the attack loop against its floor.

Run: ``python -m benchmarks.attack_speed [--device cuda] [--repeats 5]``. Everything is measured in one
process, the contestants in turn, on the same model and images; figures are medians of ratios of the
repeats. On a CPU time is the process's CPU time with one thread, which other work on the machine disturbs
little. Networks are trained here, on scikit-learn's digits at low contrast, so that their curves fall over
the ε's that are asked for.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.timing import Ratio, Row, write_record
from robustness.attacks import Setup, attack
from robustness.attacks.attacked_model import AttackedModel
from robustness.attacks.engine import search
from robustness.attacks.registry import Suite, plan

STEPS = 50
EPSILONS = tuple(level / 255 for level in (0.5, 1, 1.5, 2, 3, 4, 6, 8))


class Clock:
    """Seconds that a call takes: CPU time on a CPU, wall time with synchronisation on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, work: Callable[[], object]) -> tuple[float, object]:
        start = self._now()
        result = work()
        return self._now() - start, result

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            return time.perf_counter()
        return time.process_time()


def digits(size: int) -> tuple[Tensor, Tensor]:
    """1797 digits (N, 3, size, size) of contrast 0.15 around grey, and labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None]
    images = functional.interpolate(images, (size, size), mode="bilinear", align_corners=False).clamp(0, 1)
    images = (0.5 + 0.15 * (images - 0.5)).repeat(1, 3, 1, 1)
    order = np.random.default_rng(0).permutation(len(images))
    return images[order], torch.tensor(data.target)[order]


class Scaled(nn.Module):
    """A network behind the normalisation of the digits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - 0.5) / 0.075)


def small_cnn() -> nn.Module:
    """Four layers, for 16 × 16 images."""
    convolutions = [(3, 16, 1), (16, 32, 2), (32, 64, 2)]
    layers = [m for i, o, s in convolutions for m in (nn.Conv2d(i, o, 3, s, 1), nn.ReLU())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, 10))


def resnet18() -> nn.Module:
    """The project's ResNet-18 at a quarter of its width, for 64 × 64 images."""
    from robustness import architectures

    return architectures.build("resnet18", num_classes=10, image_size=64, width=0.25)


def train(network: nn.Module, images: Tensor, labels: Tensor, epochs: int, epsilon: float) -> nn.Module:
    """Adam, with FGSM examples of size ``epsilon`` if it is above 0."""
    model = Scaled(network).to(images.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(64):
            x, y = images[rows], labels[rows]
            if epsilon:
                start = (x + torch.empty_like(x).uniform_(-epsilon, epsilon)).requires_grad_()
                (slope,) = torch.autograd.grad(functional.cross_entropy(model(start), y), start)
                x = torch.clamp((start + epsilon * slope.sign()).detach(), x - epsilon, x + epsilon)
            optimiser.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimiser.step()
    return model.eval()


def foolbox_curve(
    model: nn.Module, images: Tensor, labels: Tensor, epsilons: tuple[float, ...]
) -> list[float]:
    """Robust accuracy of foolbox's L∞ PGD, called once for each ε, whole set in batches of 128."""
    import foolbox

    target = foolbox.PyTorchModel(model, bounds=(0, 1), device=images.device)
    pgd = foolbox.attacks.LinfPGD(steps=STEPS, rel_stepsize=2.5 / STEPS)  # the step of ours
    curve = []
    for epsilon in epsilons:
        broken = 0
        for start in range(0, len(images), 128):
            x, y = images[start : start + 128], labels[start : start + 128]
            broken += int(pgd(target, x, y, epsilons=epsilon)[2].sum())
        curve.append(1 - broken / len(images))
    return curve


def our_curve(
    model: nn.Module, images: Tensor, labels: Tensor, epsilons: tuple[float, ...], suite: Suite
) -> list[float]:
    """Robust accuracy of attacks of as many steps by this project's engine."""
    setup = Setup(batch_size=128)
    found = attack(model, images, labels, suite, epsilons, setup, device=images.device).table
    worst = found[np.isfinite(found["epsilon"])].groupby("epsilon")["robust"].mean()
    return [float(worst[epsilon]) for epsilon in epsilons]


CONTESTANTS: dict[str, Suite] = {name: {name: {"steps": STEPS}} for name in ("apgd_ce", "pgd")}


def curve(clock: Clock, model: nn.Module, images: Tensor, labels: Tensor, repeats: int) -> dict[str, object]:
    """Our curves over 8 ε against foolbox's PGD: how many times faster, and all robust accuracies.

    ``above``: the largest robust accuracy above foolbox's at the same ε, over all ε and repeats; foolbox
    draws its random start anew in each repeat.
    """
    ratios: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    above = dict.fromkeys(CONTESTANTS, -1.0)
    curves: dict[str, list[float]] = {}
    for repeat in range(repeats + 1):
        torch.manual_seed(repeat)
        theirs, curves["foolbox"] = clock(lambda: foolbox_curve(model, images, labels, EPSILONS))
        for name, suite in CONTESTANTS.items():
            ours, found = clock(partial(our_curve, model, images, labels, EPSILONS, suite))
            curves[name] = found
            above[name] = max(above[name], *np.subtract(found, curves["foolbox"]).tolist())
            if repeat:  # the first is to warm up
                ratios[name].append(theirs / ours)
    return {
        "times_faster": {name: Ratio.of(found) for name, found in ratios.items()},
        "above": above,
        "epsilons_255": [round(epsilon * 255, 3) for epsilon in EPSILONS],
        "curves": curves,
    }


def bare(model: nn.Module, x: Tensor, labels: Tensor, *, gradient: bool) -> None:
    """``STEPS`` times forward, and backward to the images if ``gradient``; nothing else."""
    for _ in range(STEPS):
        point = x.detach().requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            loss = functional.cross_entropy(model(point), labels, reduction="sum")
        if gradient:
            torch.autograd.grad(loss, point)


def floor(clock: Clock, model: nn.Module, images: Tensor, labels: Tensor, repeats: int) -> dict[str, Ratio]:
    """Steps × bare forward + backward at the same batch, as a share of what the attack loop takes.

    Bare: parameters without gradients, the memory layout that the engine uses, nothing but the input
    gradient. For square the floor is forward alone.
    """
    suite = {
        "pgd": {"steps": STEPS},
        "apgd_ce": {"steps": STEPS},
        "apgd_targeted": {"steps": STEPS, "targets": 1},
        "square": {"steps": STEPS},
    }
    shares = {}
    for item in plan(suite, "linf"):
        built, found = item.build(), []
        with AttackedModel(model, device=images.device) as attacked:
            bare_loop = partial(bare, model, attacked.place(images), labels, gradient=built.uses_gradient)
            size = len(images)
            ours = partial(search, built, attacked, images, labels, range(size), 2 / 255)
            full_loop = partial(ours, batch_size=size, stop_early=False)
            for repeat in range(repeats + 1):
                least, taken = clock(bare_loop)[0], clock(full_loop)[0]
                if repeat:
                    found.append(least / taken)
        shares[item.name] = Ratio.of(found)
    return shares


def main() -> None:
    """Run all, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--only", nargs="*", default=None)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    clock, rows, details = Clock(device), [], {}
    cases = {
        "small CNN, 16 px": (small_cnn, 16, 6, 0.0),
        "small CNN, 16 px, adversarially trained": (small_cnn, 16, 8, 5 / 255),
        "ResNet-18 ¼, 64 px": (resnet18, 64, 2, 0.0),
    }
    for name, (build, size, epochs, epsilon) in cases.items():
        if arguments.only and not any(word in name for word in arguments.only):
            continue
        torch.manual_seed(0)
        images, labels = (part.to(device) for part in digits(size))
        model = train(build(), images[:1300], labels[:1300], epochs, epsilon)
        x, y = images[1300 : 1300 + arguments.images], labels[1300 : 1300 + arguments.images]
        found = curve(clock, model, x, y, arguments.repeats)
        for attack_name, faster in found.pop("times_faster").items():
            what = f"robust accuracy at 8 ε by {attack_name}, {STEPS} steps"
            case = f"{name}; at most {found['above'][attack_name]:+.1%} above foolbox's"
            rows.append(Row(what, case, f"foolbox's PGD, {STEPS} steps", faster, "≥ 5"))
        for attack_name, share in floor(clock, model, x, y, arguments.repeats).items():
            passes = "bare forward" if attack_name == "square" else "bare forward + backward"
            rows.append(Row(f"the loop of {attack_name}", name, passes, share, "≥ 0.9"))
        details[name] = found
        print(name, *rows, json.dumps(found, indent=1), sep="\n", flush=True)
    if not arguments.only:
        write_record("attack_speed", device, rows, details)


if __name__ == "__main__":
    main()
