"""Activation maximisation: the preferred image of a unit, by gradient ascent under several regularisers.

x* = argmax a_i(x) − R(x), as x ← r_θ(x + η ∂a/∂x). Without a regulariser the images are the control ("often
… did not resemble natural images"); with one they should be more natural, drive the unit more than any
natural image, and still do so under small transforms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from robustness import seeds
from robustness.probes import ascent_numbers
from robustness.probes.ascent_engine import Ascended, Job, ascend
from robustness.probes.facets import facet_starts
from robustness.probes.fourier import NaturalStatistics
from robustness.probes.layers import LOGITS, probing, relative_depths, stage_paths
from robustness.probes.path_similarity import path_correlations
from robustness.probes.reference_activations import ReferenceActivations, observe
from robustness.probes.registry import register
from robustness.probes.regularisers import REGULARISERS, chosen
from robustness.probes.result import ProbeResult, Progress, Rows, finite_mean, to_numpy
from robustness.probes.targets import (
    Canvas,
    Target,
    before_rectification,
    find_canvas,
    pick_by_selectivity,
    pick_units,
)

NAME = "ascent"
Climb = Callable[[Target, Canvas, NaturalStatistics, Sequence[Job]], Ascended]


@register("ascent")
def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    seed: int = 0,
    stages: Sequence[str] | None = ("early", "middle", "late"),
    units: int | Sequence[int] = 2,
    logits: int | Sequence[int] = 2,
    regularisers: Sequence[str] = tuple(REGULARISERS),
    starts: int = 2,
    iterations: int = 32,
    rate: str = "normalised",
    step: float = 0.05,
    facets: int = 3,
    batch: int = 96,
    progress: Progress | None = None,
) -> ProbeResult:
    """Find the preferred image of some units of every stage, and of some classes.

    ``images`` (N, 3, H, W) in [0, 1] are the natural images of comparison, of ``labels`` (N,).
    ``units``: which, or how many: the one that answers to the fewest images (by its lifetime sparseness), the
    median one, then random ones; ``logits``: which, or how many, evenly spaced. A unit is a channel at the
    middle of its map, before the ReLU if the stage ends in one. ``starts``: seeds per unit and regulariser.
    ``rate``, ``step``: see :func:`~robustness.probes.ascent_engine.ascend`; with ``published``, only the
    regularisers with a published rate may be asked for, and they run for their published iterations.
    ``facets``: multifaceted starts per class, 0 for none.

    Rows per stage (and ``logits``), one per unit and the mean, for every regulariser r, means over starts:
    ``r/activation_ratio`` (a(x*)/largest natural response, NaN where that is not positive); ``r/stability``
    (mean response under six small rotations, translations and scalings over a(x*), NaN where that is not
    positive); ``r/high_frequency`` (share of energy above a quarter cycle per pixel);
    ``r/natural_distance`` (of x* to the nearest natural image in the features of the last stage, in mean
    distances between natural images); ``r/diversity`` (1 −
    mean cosine of the last stage's features, centred, over the starts; NaN for one start).
    For the layer, of the most stable prior among those that activate the units more than any natural image:
    ``best_prior/activation_ratio``, ``…/stability`` and ``…/stability_gain`` over ``none``;
    ``dead_share`` of these units (the same response to all images, and no gradient anywhere).
    With labels, at every stage of the model, over the classes: ``r/path_similarity`` and ``best_prior/…``
    (:mod:`~robustness.probes.path_similarity`); ``natural/same_class`` and ``natural/other_class``, the two
    correlations that are its 1 and its 0.
    At ``logits``: ``facets/activation_ratio`` and ``facets/diversity``, over the facets of a class.

    Arrays: ``regularisers`` (R,); ``mean`` (3,), the mean colour; ``<stage>/units`` (U,), ``<stage>/dead``
    (U,), ``<stage>/moved`` (U, R, S), whether there was a gradient; ``<stage>/images`` uint8 (U, R, S, 3,
    h, w), the receptive fields, ``<stage>/responses`` (U, R, S), ``<stage>/trace``
    (U, R, S, iterations), ``<stage>/natural`` (U,) and ``<stage>/natural_images`` uint8 (U, 3, h, w);
    ``facets/starts`` and ``facets/images`` uint8 (facets of all classes, 3, H, W), ``facets/units``.

    Raises UserError for an unknown stage, unit, regulariser or rate.
    """
    settings, (facet_setting,) = chosen(regularisers), chosen(["total_variation"])
    paths = stage_paths(model, stages) | {LOGITS: ""}
    with probing(model, seed=seed):
        rows = Rows(NAME, relative_depths(model, stage_paths(model) | paths, images[:1]))
        targets = {s: before_rectification(model, s, path, images[:1]) for s, path in paths.items()}
        natural = observe(model, targets, images)
        picked = {
            stage: pick_units(stage, len(natural.largest[stage]), logits, natural.live(stage))
            if stage == LOGITS
            else _units(natural, stage, units, seed)
            for stage in targets
        }
        climb = _climber(
            model, natural, picked, settings, starts, seed, iterations, rate, step, batch, progress
        )
        arrays: dict[str, np.ndarray] = {
            "regularisers": np.array([setting.name for setting in settings]),
            "mean": to_numpy(natural.mean).ravel(),
        }
        for stage, target in targets.items():
            canvas = find_canvas(model, target, images.shape[-2:])
            statistics = NaturalStatistics.of(canvas.field(images), natural.mean)
            jobs = [
                Job(unit, r, start) for unit in picked[stage] for r in settings for start in range(starts)
            ]
            result = climb(target, canvas, statistics, jobs)
            shape = (len(picked[stage]), len(settings), starts)
            numbers = ascent_numbers.measure(
                model, target, canvas, natural, jobs, result, statistics, seed=seed, batch=batch
            )
            best = _add_rows(
                rows, stage, picked[stage], settings, {k: v.reshape(shape) for k, v in numbers.items()}
            )
            if stage == LOGITS and labels is not None:
                whole = canvas.whole_image(result.images, natural.mean.cpu())
                _add_paths(rows, model, jobs, whole, best, images, to_numpy(labels), batch)
            dead = ~result.moved.numpy().reshape(shape[0], -1).any(1) & ~natural.live(stage)[picked[stage]]
            rows.add(stage, "dead_share", dead.mean())
            fields = torch.stack([natural.field(stage, unit, canvas) for unit in picked[stage]])
            arrays |= {
                f"{stage}/units": np.array(picked[stage]),
                f"{stage}/dead": dead,
                f"{stage}/moved": result.moved.numpy().reshape(shape),
                f"{stage}/images": _bytes(result.images).reshape(*shape, *result.images.shape[1:]),
                f"{stage}/responses": to_numpy(result.responses).reshape(shape),
                f"{stage}/trace": to_numpy(result.trace).reshape(*shape, -1),
                f"{stage}/natural": natural.largest[stage][picked[stage]],
                f"{stage}/natural_images": _bytes(fields),
            }
        if facets:
            canvas = find_canvas(model, targets[LOGITS], images.shape[-2:], crop=False)
            _add_facets(
                rows, arrays, model, targets[LOGITS], canvas, natural, picked[LOGITS],
                facets, facet_setting, climb, seed,
            )  # fmt: skip
    return ProbeResult(NAME, rows.table(), arrays)


def _units(natural: ReferenceActivations, stage: str, wanted: int | Sequence[int], seed: int) -> list[int]:
    live = natural.live(stage)
    if not isinstance(wanted, int):
        return pick_units(stage, len(live), wanted)
    return pick_by_selectivity(stage, natural.sparseness(stage), wanted, live, seed=seed)


def _bytes(images: Tensor) -> np.ndarray:
    return (to_numpy(images) * 255).round().clip(0, 255).astype(np.uint8)


def _climber(
    model: nn.Module,
    natural: ReferenceActivations,
    picked: dict[str, list[int]],
    settings: Sequence,
    starts: int,
    seed: int,
    iterations: int,
    rate: str,
    step: float,
    batch: int,
    progress: Progress | None,
) -> Climb:
    """The function that runs jobs in batches, reports progress, and gives a unit that has no gradient at its
    start a second one from its strongest natural image."""
    total = sum(map(len, picked.values())) * len(settings) * starts
    done = 0

    def climb(target: Target, canvas: Canvas, statistics: NaturalStatistics, jobs: Sequence[Job]) -> Ascended:
        nonlocal done
        parts: list[tuple[list[int], Ascended]] = []
        for steps, members in _by_iterations(jobs, rate, iterations):
            for first in range(0, len(members), batch):
                part = members[first : first + batch]
                found = _run(target, canvas, statistics, [jobs[i] for i in part], steps)
                parts.append((part, found))
                done += len(part)
                if progress:
                    progress(f"ascent in {target.stage}", min(done, total), total)
        return _joined(parts)

    def _run(target, canvas, statistics, jobs, steps) -> Ascended:
        options = dict(seed=seed, iterations=steps, rate=rate, step=step)
        found = ascend(model, target, canvas, jobs, statistics, **options)
        stuck = [
            index for index, job in enumerate(jobs)
            if not found.moved[index] and job.regulariser.space == "pixels" and job.start_image is None
        ]  # fmt: skip
        if not stuck:
            return found
        again = [
            Job(
                jobs[i].unit,
                jobs[i].regulariser,
                jobs[i].start,
                natural.field(target.stage, jobs[i].unit, canvas),
            )
            for i in stuck
        ]
        second = ascend(model, target, canvas, again, statistics, **options)
        for name in ("images", "responses", "trace", "moved"):
            getattr(found, name)[stuck] = getattr(second, name)
        return found

    return climb


def _by_iterations(jobs: Sequence[Job], rate: str, iterations: int) -> list[tuple[int, list[int]]]:
    """The jobs by number of iterations: all alike, or the published number of each."""
    groups: dict[int, list[int]] = {}
    for index, job in enumerate(jobs):
        published = job.regulariser.iterations if rate == "published" else None
        groups.setdefault(published or iterations, []).append(index)
    return list(groups.items())


def _joined(parts: Sequence[tuple[list[int], Ascended]]) -> Ascended:
    """Batches back in the order of the jobs; shorter traces end with their last value."""
    longest = max(found.trace.shape[1] for _, found in parts)
    order = torch.tensor([index for part, _ in parts for index in part]).argsort()
    traces = [
        torch.cat([f.trace, f.trace[:, -1:].expand(-1, longest - f.trace.shape[1])], 1) for _, f in parts
    ]
    return Ascended(
        images=torch.cat([found.images for _, found in parts]).cpu()[order],
        responses=torch.cat([found.responses for _, found in parts]).cpu()[order],
        trace=torch.cat(traces).cpu()[order],
        moved=torch.cat([found.moved for _, found in parts]).cpu()[order],
    )


def _add_rows(
    rows: Rows, stage: str, units: Sequence[int], settings: Sequence, numbers: dict[str, np.ndarray]
) -> str | None:
    """One row per unit for every number (U, R, S): its mean over the starts; then those of the best prior,
    whose name it gives."""
    names = [str(unit) for unit in units]
    means: dict[str, dict[str, float]] = {}
    for metric, values in numbers.items():
        for place, setting in enumerate(settings):
            per_unit = np.array([finite_mean(row) for row in values[:, place]])
            rows.add_units(stage, f"{setting.name}/{metric}", per_unit, names)
            means.setdefault(metric, {})[setting.name] = finite_mean(per_unit)
    best = _best_prior([setting.name for setting in settings if setting.prior], means)
    if best:
        rows.add(stage, "best_prior/activation_ratio", means["activation_ratio"][best])
        rows.add(stage, "best_prior/stability", means["stability"][best])
        gain = means["stability"][best] - means["stability"].get("none", np.nan)
        rows.add(stage, "best_prior/stability_gain", gain)
    return best


def _add_paths(
    rows: Rows,
    model: nn.Module,
    jobs: Sequence[Job],
    pictures: Tensor,
    best: str | None,
    images: Tensor,
    labels: np.ndarray,
    batch: int,
) -> None:
    """How alike the classes' preferred images are to natural ones, stage by stage and regulariser."""
    owners = np.array([job.unit for job in jobs])
    names = np.array([job.regulariser.name for job in jobs])
    found = path_correlations(model, stage_paths(model), pictures, owners, images, labels, batch=batch)
    for stage, correlations in found.items():
        rows.add(stage, "natural/same_class", finite_mean(correlations.same))
        rows.add(stage, "natural/other_class", finite_mean(correlations.other))
        for name in dict.fromkeys(names):
            value = correlations.similarity(names == name)
            rows.add(stage, f"{name}/path_similarity", value)
            if name == best:
                rows.add(stage, "best_prior/path_similarity", value)


def _best_prior(priors: Sequence[str], means: dict[str, dict[str, float]]) -> str | None:
    """The most stable of the priors that activate the units more than any natural image; of all, if none
    does; None if no prior has a stability."""
    steady = {name: means["stability"][name] for name in priors if np.isfinite(means["stability"][name])}
    strong = {name: value for name, value in steady.items() if means["activation_ratio"][name] > 1}
    return max(strong or steady, key=(strong or steady).get, default=None)


def _add_facets(
    rows: Rows,
    arrays: dict[str, np.ndarray],
    model: nn.Module,
    target: Target,
    canvas: Canvas,
    natural: ReferenceActivations,
    units: Sequence[int],
    facets: int,
    setting,
    climb: Climb,
    seed: int,
) -> None:
    """Multifaceted ascent of the classes: rows at ``logits`` and the arrays ``facets/…``."""
    statistics = NaturalStatistics.of(canvas.field(natural.images).to(natural.mean.device), natural.mean)
    jobs = []
    for unit in units:
        starts = facet_starts(
            natural.images,
            natural.last.numpy(),
            natural.responses[LOGITS][:, unit],
            facets=facets,
            random_state=seeds.derive(seed, NAME, "facets", unit) % 2**31,
        )
        jobs += [Job(unit, setting, number, canvas.field(start)) for number, start in enumerate(starts)]
    result = climb(target, canvas, statistics, jobs)
    ratio = ascent_numbers.activation_ratio(natural, target.stage, jobs, result)
    owners = np.array([job.unit for job in jobs])
    whole = canvas.whole_image(result.images, natural.mean.cpu())
    spread = ascent_numbers.diversity(model, whole, natural, owners)
    for unit in units:
        rows.add(LOGITS, "facets/activation_ratio", finite_mean(ratio[owners == unit]), unit=unit)
        rows.add(LOGITS, "facets/diversity", finite_mean(spread[owners == unit]), unit=unit)
    arrays["facets/starts"] = _bytes(torch.stack([job.start_image for job in jobs]))
    arrays["facets/images"] = _bytes(result.images)
    arrays["facets/units"] = owners
