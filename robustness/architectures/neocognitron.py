"""Neocognitron (Fukushima 1980): S- and C-cells that organise themselves without a teacher.

U0, then three pairs of an S-layer (feature extraction, learnt) and a C-layer (tolerance of position, fixed),
24 cell planes each. At the published 16x16 pixels the maps have 16, 10, 8, 6, 2 and 1 cells a side. Call
:meth:`Neocognitron.self_organise` with images, without labels; afterwards only ``readout``, a linear layer on
the 24 cells of UC3, is left to train. It is the only part that sees labels, and none of Fukushima's: his net
is read by looking which plane answers.

What differs from the paper, and why:

- ``contrast=True`` (the default) puts on- and off-centre contrast cells before US1, as his later versions
  have for natural images; with ``contrast=False`` US1 reads the positive part of the grey image itself.
- Larger images (multiples of 16): S1 keeps its 5x5 pixels and stride 1, while a C1-cell keeps its share of
  the image: its area and its spacing grow with the size, 20x20 pixels every 4 at 64. From UC1 on all is as
  published.
- Constants that are not in the facts we build from: c and d fall as 0.9 to the distance, d is 2.5, 4 and 1 at
  the centre of the areas of UC1, UC2 and UC3, S-columns have 5x5 places, and initial excitatory weights are
  about 0.01 of the c of their place.
- ``width`` multiplies the planes of every layer.
- ``learning_selectivity2`` and ``3`` above the selectivity, as in Fukushima & Tanigawa, Use of different
  thresholds in learning and recognition, Neurocomputing 11, 1996: cells that are choosy while they learn come
  to stand for different features, and several of them answer afterwards. By default they are the same, as in
  1980.

Selectivity 4.0, 1.5, 1.5, learning rates 1, 16, 16 and saturation 0.5 are published. An S-cell that has
learnt one pattern answers as relu((r+1) s - r), s being the weighted cosine of its input with that pattern: r
sets the least likeness, 0.8 for 4.0 and 0.6 for 1.5. docs/neocognitron.md has what it does on digits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from robustness.architectures.blocks import neocognitron_learning as learning
from robustness.architectures.blocks.neocognitron_layers import (
    CLayer,
    Contrast,
    Photoreceptors,
    SLayer,
    Standardise,
)
from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import Stem, number, register, switch
from robustness.errors import UserError

PUBLISHED_SIZE = 16


class Neocognitron(nn.Module):
    """Images (N, C, S, S) to logits (N, classes)."""

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: float,
        contrast: bool,
        selectivity1: float,
        selectivity2: float,
        selectivity3: float,
        learning_selectivity2: float,
        learning_selectivity3: float,
        presentations: int,
    ) -> None:
        super().__init__()
        if image_size % PUBLISHED_SIZE:
            raise UserError(
                f"neocognitron: image_size is {image_size}; allowed is a multiple of {PUBLISHED_SIZE}, "
                "so that every C1-cell has the same share of the image"
            )
        planes, fine = scaled(24, width), image_size // PUBLISHED_SIZE
        self.presentations = presentations
        self.contrast = Contrast() if contrast else Photoreceptors()
        first = 2 if contrast else 1
        self.us1 = SLayer(first, planes, selectivity=selectivity1, rate=1.0, padding=2)
        self.uc1 = CLayer(side=5 * fine, stride=fine, margin=fine, gain=2.5)
        self.us2 = SLayer(
            planes,
            planes,
            selectivity=selectivity2,
            learning_selectivity=learning_selectivity2,
            rate=16.0,
            padding=1,
        )
        self.uc2 = CLayer(side=5, margin=-1, gain=4.0)
        self.us3 = SLayer(
            planes,
            planes,
            selectivity=selectivity3,
            learning_selectivity=learning_selectivity3,
            rate=16.0,
            padding=0,
        )
        self.uc3 = CLayer(side=2)
        self.standardise = Standardise(planes)
        self.readout = nn.Linear(planes, num_classes)
        for stage, layer in enumerate((self.us1, self.us2, self.us3), start=1):
            learning.fresh_weights(layer, torch.default_generator, oriented=stage == 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images."""
        x = self.uc1(self.us1(self.contrast(x)))
        x = self.uc2(self.us2(x))
        x = self.uc3(self.us3(x))
        return self.readout(self.standardise(x))

    @torch.no_grad()
    def self_organise(
        self, images: Tensor, *, seed: int, progress: Callable[[str, int, int], None] | None = None
    ) -> None:
        """Learn from normalised images (N, C, S, S), without labels: US1, then US2, then US3.

        Weights and order of the patterns come from ``seed``. A front-end in US1's place is left as it is.
        Afterwards nothing but ``readout`` takes gradients. ``progress(stage, done, all)`` reports patterns.
        Raises UserError for no image.
        """
        if len(images) == 0:
            raise UserError("neocognitron: self_organise got no image; give it at least one")
        training = self.training
        self.eval()
        layers = (("us1", self.contrast), ("us2", self._to_uc1), ("us3", self._to_uc2))
        for stage, (name, before) in enumerate(layers, start=1):
            # A front-end may stand for US1, or add its noise to it.
            layer = next((part for part in getattr(self, name).modules() if isinstance(part, SLayer)), None)
            if layer is None:
                continue
            weights, order = learning.generators(seed, stage)
            learning.fresh_weights(layer, weights, oriented=stage == 1)
            learning.organise(
                layer,
                _in_batches(before, images),
                column=5,
                presentations=self.presentations,
                generator=order,
                progress=None if progress is None else lambda *count, name=name: progress(name, *count),
            )
        self.standardise.fit(_in_batches(lambda x: self.uc3(self.us3(self._to_uc2(x))).flatten(1), images))
        self.requires_grad_(False)
        self.readout.requires_grad_(True)
        self.train(training)

    def _to_uc1(self, x: Tensor) -> Tensor:
        return self.uc1(self.us1(self.contrast(x)))

    def _to_uc2(self, x: Tensor) -> Tensor:
        return self.uc2(self.us2(self._to_uc1(x)))


def _in_batches(function: Callable[[Tensor], Tensor], images: Tensor, size: int = 128) -> Tensor:
    return torch.cat([function(part) for part in images.split(size)])


register(
    "neocognitron",
    family="Neocognitron",
    year=1979,
    paper="Fukushima: Neocognitron: A Self-organizing Neural Network Model for a Mechanism of Pattern "
    "Recognition Unaffected by Shift in Position, Biological Cybernetics 36, 1980",
    parameters=None,
    input_size=16,
    smallest=16,
    stem=Stem(("contrast", "us1"), stride=1, channels=24),
    stages={"stem": "us1", "early": "uc1", "middle": "uc2", "late": "uc3", "penultimate": "standardise"},
    options={
        "contrast": switch(True, "on- and off-centre contrast cells before US1"),
        "selectivity1": number(4.0, 0.01, 100, "r of US1: least likeness to answer is r / (r + 1)"),
        "selectivity2": number(1.5, 0.01, 100, "r of US2"),
        "selectivity3": number(1.5, 0.01, 100, "r of US3"),
        "learning_selectivity2": number(1.5, 0.01, 100, "r of US2 while it learns"),
        "learning_selectivity3": number(1.5, 0.01, 100, "r of US3 while it learns"),
        "presentations": number(1000, 1, 1_000_000, "patterns shown to each S-layer"),
    },
    classes=5,
    channels=1,
)(Neocognitron)
