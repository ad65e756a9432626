"""Robust accuracy beside AutoAttack's and foolbox's, image by image and with the time of each.

Run: ``python -m benchmarks.attack_parity --run . resnet18 resnet18_adversarial resnet18_vone`` on models of
a finished run, or ``--cifar FOLDER`` on the ResNet-18 that comes with pyautoattack, where ``FOLDER`` holds
CIFAR-10 as ``test/<class>/*.jpg`` or ``.png``. AutoAttack runs its standard version; models with noise its
``rand`` version, and there all tools' images are judged on the same 64 samples of the noise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import foolbox
import numpy as np
import pyautoattack
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.timing import Ratio, Row, write_record
from robustness import frontends, models, weights
from robustness.attacks import Setup, attack
from robustness.attacks.suites import ladder
from robustness.data.image_set import ImageSet

SEED, JUDGES = 1, 64
Case = tuple[str, nn.Module, Tensor, Tensor]


def main() -> None:
    """Compare on all models that are named, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("models", nargs="*")
    parser.add_argument("--run", type=Path, default=Path())
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--epsilon", type=float, default=2.0, help="L∞, in 255ths")
    parser.add_argument("--rungs", type=int, default=None)
    told = parser.parse_args()
    torch.set_num_threads(1)
    cases = [*_of_run(told.run, told.models, told.images), *_of_cifar(told.cifar, told.images)]
    results = {}
    for name, model, images, labels in cases:
        results[name] = compared(model.eval(), images, labels, told.epsilon / 255, told.rungs)
        print(name, results[name], flush=True)
    name = f"attack_parity_{'cifar_' if told.cifar else ''}{told.epsilon:g}"
    facts = {"epsilon_255": told.epsilon, "images": told.images, "rungs": told.rungs}
    write_record(name, torch.device("cpu"), [_row(*each, told) for each in results.items()], results, **facts)


def _row(name: str, found: dict, told: argparse.Namespace) -> Row:
    """How many times faster than AutoAttack, and both robust accuracies."""
    times = found["autoattack_seconds"] / found["suite_seconds"]
    robust = " and ".join(f"{found[f'{tool}_accuracy']:.1%}" for tool in ("suite", "autoattack"))
    suite, version = ("stochastic", "rand") if found["noise"] else ("standard", "standard")
    case = f"{name} at {told.epsilon:g}/255, robust accuracies {robust}"
    return Row(f"the suite {suite}", case, f"AutoAttack's {version}", Ratio.of([times]), "≥ 3")


def compared(
    model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, rungs: int | None
) -> dict[str, object]:
    """Accuracy (expected under noise) clean and on each tool's images, seconds of each, and the images that
    only one of the suites breaks."""
    noisy = frontends.is_stochastic(model)
    setup = Setup(eval_samples=JUDGES if noisy else 1, seed=SEED)
    suite = ladder("stochastic" if noisy else "standard", "linf", rungs)
    tools: dict[str, Callable[[], Tensor]] = {
        "suite": lambda: attack(
            model, images, labels, suite, [epsilon], setup, keep=len(images)
        ).adversarials[epsilon],
        "autoattack": lambda: _autoattack(model, images, labels, epsilon, noisy=noisy),
        "foolbox_pgd50": lambda: _foolbox(foolbox.attacks.LinfPGD(steps=50), model, images, labels, epsilon),
        "foolbox_fmn": lambda: _foolbox(
            foolbox.attacks.LInfFMNAttack(steps=100), model, images, labels, epsilon
        ),
    }
    right: dict[str, np.ndarray] = {}
    found: dict[str, object] = {"noise": noisy}
    with setup.attacked(model, "cpu") as judge:
        keys = judge.keys(range(len(images)), "parity")
        right["clean"] = judge.right_share(images, labels, keys).numpy()
    for name, tool in tools.items():
        start = time.process_time()
        points = tool()
        found[f"{name}_seconds"] = round(time.process_time() - start, 1)
        if (points - images).abs().max() > epsilon * (1 + 1e-5):
            raise AssertionError(f"{name}: a perturbation is larger than ε")
        with setup.attacked(model, "cpu") as judge:
            right[name] = judge.right_share(points, labels, keys).numpy()
    found |= {f"{name}_accuracy": round(float(share.mean()), 4) for name, share in right.items()}
    ours, theirs = right["suite"] > 0.5, right["autoattack"] > 0.5
    found["only_autoattack_breaks"] = np.flatnonzero(ours & ~theirs).tolist()
    found["only_suite_breaks"] = np.flatnonzero(theirs & ~ours).tolist()
    return found


def _autoattack(model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, *, noisy: bool) -> Tensor:
    with torch.no_grad():
        classes = model(images[:1]).shape[1]
    version = "rand" if noisy else "standard"
    tool = pyautoattack.AutoAttack(model, norm="Linf", eps=epsilon, seed=SEED, version=version, device="cpu")
    tool.fab.n_target_classes = tool.apgd_targeted.n_target_classes = min(9, classes - 1)
    found = tool.run_standard_evaluation(images, labels, batch_size=len(images))
    return found[0] if isinstance(found, tuple) else found


def _foolbox(tool: object, model: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """The clean image where foolbox fails."""
    torch.manual_seed(SEED)
    target = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    _, points, broken = tool(target, images, labels, epsilons=epsilon)
    return torch.where(broken.view(-1, 1, 1, 1), points, images).detach()


def _of_run(run: Path, names: Sequence[str], count: int) -> Iterable[Case]:
    """Models of a finished run, on clean test images spread over objects."""
    if not names:
        return
    images = ImageSet.open(run / "data/images")
    rows = images.spread_over_objects(images.rows(split="test", shift="clean"), count, seed=SEED)
    x, y = images.batch(rows), images.labels(rows)
    for name in names:
        yield name, models.load(run / "data/models" / name / "weights.safetensors"), x, y


def _of_cifar(folder: Path | None, count: int) -> Iterable[Case]:
    """AutoAttack's example network, on the first test images of each class."""
    if folder is None:
        return
    model = weights.build(weights.parse("package:pyautoattack_resnet18"), image_size=32, num_classes=10)
    classes = sorted(path for path in (folder / "test").iterdir() if path.is_dir())
    paths = [sorted(path.iterdir())[: count // len(classes)] for path in classes]
    images = [
        np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255 for own in paths for path in own
    ]
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor([len(own) for own in paths]))
    yield (
        "cifar10_resnet18",
        model,
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        labels,
    )


if __name__ == "__main__":
    main()
