"""What a Neocognitron that organised itself on a few digits does when held-out digits are shifted.

Run as a script, it prints the table of docs/neocognitron.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustness import architectures, seeds

SHIFTS = tuple(
    (down, right) for down in range(-2, 3) for right in range(-2, 3) if 0 < down**2 + right**2 <= 4
)
TWO_PIXELS = ((-2, 0), (2, 0), (0, -2), (0, 2))


@dataclass(frozen=True)
class Study:
    """Fractions of the held-out digits, but for ``planes``, the number of planes that win.

    ``stable``: winning plane unchanged, mean over the shifts; ``purity``: digits of the commonest class of
    their plane; the rest are accuracies of the read-out and of a linear classifier on pixels.
    """

    stable: float
    planes: int
    purity: float
    clean: float
    shifted: float
    linear_clean: float
    linear_shifted: float


def digits(classes: Sequence[int], seed: int, train: int, test: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and held-out digits of scikit-learn's set: images (N, 1, 16, 16) in [0, 1] and labels of each.

    The 8x8 pictures are enlarged to 12x12 and stand in the middle of 16x16, so that 2 pixels of shift cut
    nothing.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    order = seeds.numpy_generator(seed, "digits").permutation(np.flatnonzero(np.isin(data.target, classes)))
    small = torch.from_numpy(data.images[order] / 16).float()[:, None]
    images = nn.functional.pad(
        nn.functional.interpolate(small, size=12, mode="bilinear", align_corners=False), (2, 2, 2, 2)
    )
    labels = torch.from_numpy(data.target[order])
    return images[:train], labels[:train], images[-test:], labels[-test:]


def shifted(images: Tensor, down: int, right: int) -> Tensor:
    """The images moved by whole pixels, what enters being black."""
    padded = nn.functional.pad(images, (2, 2, 2, 2))
    return padded[:, :, 2 - down : 18 - down, 2 - right : 18 - right]


def fit_linear(layer: nn.Linear, features: Tensor, labels: Tensor) -> None:
    """Logistic regression with a little weight decay, to convergence."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(layer(features), labels) + 1e-3 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)


def accuracy(classify: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return (classify(images).argmax(dim=1) == labels).float().mean().item()


def winners(network: nn.Module, images: Tensor) -> Tensor:
    """The UC3 plane that answers most, (N,), -1 where none answers."""
    outputs = []
    hook = network.uc3.register_forward_hook(lambda module, inputs, output: outputs.append(output.flatten(1)))
    with torch.no_grad():
        network(images)
    hook.remove()
    value, plane = outputs[0].max(dim=1)
    return torch.where(value > 0, plane, -1)


def study(
    classes: Sequence[int], *, seed: int, train: int = 100, test: int = 300, **options: object
) -> Study:
    """Organise on ``train`` unlabelled digits, fit the read-out to their labels, test on ``test`` others."""
    images, labels, held_out, truth = digits(classes, seed, train, test)
    network = architectures.build(
        "neocognitron", num_classes=10, in_channels=1, image_size=16, **{"presentations": 300, **options}
    ).eval()
    network.self_organise(images, seed=seed)
    with torch.no_grad():
        features = network.standardise(network.uc3(network.us3(network._to_uc2(images))))
    fit_linear(network.readout, features, labels)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(256, 10))
    fit_linear(linear[1], images.flatten(1), labels)

    first = winners(network, held_out)
    same = [(winners(network, shifted(held_out, *by)) == first) & (first >= 0) for by in SHIFTS]
    moved = [shifted(held_out, *by) for by in TWO_PIXELS]
    return Study(
        stable=torch.stack(same).float().mean().item(),
        planes=len(first[first >= 0].unique()),
        purity=sum(int(truth[first == plane].bincount().max()) for plane in first.unique()) / len(truth),
        clean=accuracy(network, held_out, truth),
        shifted=float(np.mean([accuracy(network, x, truth) for x in moved])),
        linear_clean=accuracy(linear, held_out, truth),
        linear_shifted=float(np.mean([accuracy(linear, x, truth) for x in moved])),
    )


def main() -> None:
    heads = ("digits", "r of US3", "seed", "winner unchanged", "planes", "purity", "read-out", "shifted")
    print("| " + " | ".join((*heads, "linear", "shifted")) + " |")
    print("|---" * 10 + "|")
    for classes in ((0, 1, 2), (0, 1, 2, 3, 4), tuple(range(10))):
        for selectivity in (1.5, 1.0):
            for seed in range(3):
                result = astuple(study(classes, seed=seed, selectivity3=selectivity))
                cells = [format(value, "d" if isinstance(value, int) else ".3f") for value in result]
                row = (f"{classes[0]}-{classes[-1]}", str(selectivity), str(seed), *cells)
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
