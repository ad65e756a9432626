"""The settings of an adversarial evaluation in one or more norms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pandas as pd
from pydantic import Field, field_validator

from robustness.attacks.checks import Scale, telling_epsilon
from robustness.attacks.evaluation import Setup
from robustness.attacks.suites import Rung, ladder
from robustness.attacks.variants import WHOLE, VariantSettings
from robustness.errors import UserError, at
from robustness.settings import Settings, check_types

# Evaluation samples on a stochastic target of a transfer: a matrix of all pairs needs no more.
TRANSFER_EVAL_SAMPLES = 4
LARGEST_EPSILON = 255.0  # of L∞, in 255ths: more than black to white


class NormSettings(Settings):
    """The ε's in one norm, and the suite: a name of ``suites.SUITES``, of whose ladder at most ``rungs`` are
    climbed, or the attacks (name → settings) of each rung. ``noisy_rungs``: at most so many of a model with
    noise, whose gradients cost more; null: as of the others. ``extra_rungs``: so many more where the last one
    still lowered the robust accuracy by 2 points or more."""

    epsilons: tuple[float, ...] = Field(min_length=1)
    suite: str | list[dict[str, dict[str, Any]]] = Field(min_length=1)
    rungs: int | None = Field(default=None, ge=1)
    noisy_rungs: int | None = Field(default=None, ge=1)
    extra_rungs: int = Field(default=0, ge=0)

    @field_validator("epsilons", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return tuple(float(v) if type(v) is int else v for v in value) if isinstance(value, list) else value

    @field_validator("epsilons")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for epsilon in value:
            if not 0 < epsilon < float("inf"):
                raise ValueError(
                    f"{epsilon:g} is no budget: every ε must be above 0 (ε = 0 is always checked)"
                )
        if len(set(value)) != len(value):
            raise ValueError("an ε stands there twice")
        return value


class AttackSettings(Settings):
    """The attacks; ``epsilons`` of L∞ in 255ths, of L2 in image units.

    ``images`` are attacked, ``keep`` adversarial ones kept; ``eval_samples`` as in ``Setup``, ``eot_samples``
    too, for what no suite says; ``checks``: their cost; ``variants``: what else is attacked in L∞ (null:
    nothing). ``noise_models``: the stochastic models whose noise is studied (live, frozen, off;
    ``eot_sweep``: numbers of EOT samples), on ``noise_images``; null: all of them.
    """

    images: int = Field(ge=1)
    batch_size: int = Field(ge=1, le=65536)
    eot_samples: int = Field(ge=1, le=1000)
    eval_samples: int = Field(ge=1, le=1000)
    keep: int = Field(default=16, ge=1)
    checks: Scale = Scale()
    noise_images: int = Field(default=50, ge=1)
    noise_models: list[str] | None = None
    variants: VariantSettings | None = None
    eot_sweep: list[int] = Field(default=[1, 2, 4, 8, 16], min_length=1)
    norms: dict[Literal["linf", "l2", "l1"], NormSettings] = Field(min_length=1)

    def check(self) -> None:
        for norm, suite in self.norms.items():
            if norm == "linf" and max(suite.epsilons) > LARGEST_EPSILON:
                raise UserError(
                    f"{max(suite.epsilons):g} is more than black to white; they are in 255ths, use up to 255",
                    "norms.linf.epsilons",
                )
            with at(f"norms.{norm}.suite"):
                for rung in ladder(suite.suite, norm):
                    for planned in rung.plan(norm):
                        with at(planned.name):
                            check_types(planned.settings, planned.entry.build)

    def budgets(self, norm: str) -> list[float]:
        """The ε's of a norm in image units."""
        return [epsilon / (255.0 if norm == "linf" else 1.0) for epsilon in self.norms[norm].epsilons]

    def ladder(self, norm: str, *, noisy: bool, classes: int) -> tuple[Rung, ...]:
        """The rungs in a norm, for a model with noise or without, of so many classes."""
        own = self.norms[norm]
        rungs = own.noisy_rungs if noisy and own.noisy_rungs else own.rungs
        return ladder(own.suite, norm, rungs, extra=own.extra_rungs, noisy=noisy, classes=classes)

    def setup(self, norm: str, seed: int) -> Setup:
        """How the attacks in one norm run."""
        return Setup(
            norm=norm,
            eot_samples=self.eot_samples,
            eval_samples=self.eval_samples,
            batch_size=self.batch_size,
            seed=seed,
        )

    def of_transfer(self, seed: int, attacks: pd.DataFrame) -> tuple[str, float, Setup]:
        """Norm (L∞ if it is there), ε in image units, and setup of the transfer between models.

        ``attacks``: the table of all models. ε is where their own attacks leave enough that images made for
        another model could break more (``telling_epsilon``).
        """
        norm = "linf" if "linf" in self.norms else next(iter(self.norms))
        setup = replace(self.setup(norm, seed), eval_samples=min(TRANSFER_EVAL_SAMPLES, self.eval_samples))
        whole = attacks[(attacks["variant"] == WHOLE) & (attacks["norm"] == norm)]
        return norm, telling_epsilon(whole), setup
