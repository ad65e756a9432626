"""The settings of a model with pretrained weights and of their fine-tuning, and the checks on them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from robustness import frontends
from robustness.errors import UserError, at, nearest
from robustness.models import ModelSettings
from robustness.settings import Settings
from robustness.weights.networks import library_of
from robustness.weights.source import parse
from robustness.weights.user_network import Builder, find


class FineTune(Settings):
    """A short training of some stages of a pretrained model; the other stages stay frozen.

    ``stages`` are canonical names, ``head`` being what follows the penultimate one. ``new_head`` draws the
    last layer anew for the classes of the image set.
    """

    stages: list[Literal["stem", "early", "middle", "late", "penultimate", "head"]] = Field(min_length=1)
    epochs: int = Field(ge=1, le=10000)
    learning_rate: float = Field(gt=0, le=10)
    new_head: bool = False

    def check(self) -> None:
        if len(set(self.stages)) != len(self.stages):
            raise UserError("a stage stands there twice; leave one out", "stages")
        if self.new_head and "head" not in self.stages:
            raise UserError("lacks head, which new_head draws anew; add it", "stages")


def check(model: ModelSettings) -> None:
    """Raises UserError if pretrained weights are asked for anything but to be used or fine-tuned."""
    with at("weights"):
        source = parse(model.weights, model.sha256)
        if source.kind == "checkpoint":
            _check_checkpoint(model)
            return
        network = library_of(source, model.architecture)
        if network[0] == "python":
            find(network[1])
    if network[0] == "python" and model.sha256 is not None and not (model.builder or {}).get("file"):
        raise UserError("has no file to be checked; name its weights (builder: file:)", "sha256")
    if model.builder is not None:
        if network[0] != "python":
            raise UserError("goes with weights python:<module>:<callable>; leave it out", "builder")
        with at("builder"):
            Builder.read(model.builder)
    if model.family is not None:
        raise UserError("pretrained weights come with their network; leave it out", "family")
    usual = {"training": "canonical", "width": 1.0, "options": {}}
    if model.fine_tune is None:
        if model.frontend != "learned":
            raise UserError(
                f"{model.frontend} in front of trained weights would feed them what they never saw; leave it "
                "out, fine-tune the first stages (fine_tune), or train the model (weights: train)",
                "frontend",
            )
        usual["recipe"] = {}
    for key, value in usual.items():
        if getattr(model, key) != value:
            raise UserError("pretrained weights are used as they are", key)
    if model.fine_tune is None:
        return
    with at("fine_tune"):
        fine_tune = FineTune.read(model.fine_tune)
    if model.frontend not in frontends.names():
        raise UserError(
            f"unknown {model.frontend!r}; {nearest(model.frontend, frontends.names())}", "frontend"
        )
    if network[0] == "python" and fine_tune.new_head:
        raise UserError("give the number of classes under builder.arguments", "fine_tune.new_head")
    if model.frontend != "learned" and "stem" not in fine_tune.stages:
        raise UserError("lacks stem, where the front-end stands untrained; add it", "fine_tune.stages")


def _check_checkpoint(model: ModelSettings) -> None:
    """Raises UserError for what a checkpoint of another run does not take: it is that model as it was."""
    for key in sorted(model.model_fields_set - {"weights", "sha256"}):
        raise UserError("a checkpoint is used as it is; leave it out", key)
