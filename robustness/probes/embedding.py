"""Last layer: PCA to 30 dimensions, then t-SNE to two, with numbers in all three spaces.

L. van der Maaten and G. Hinton, Visualizing Data using t-SNE, JMLR 9 (2008). A picture in two dimensions can
mislead, so networks are compared by the numbers of the raw space; the others show what the reduction loses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from robustness import seeds
from robustness.errors import UserError
from robustness.probes.layers import features, pooled, probing, relative_depths, stage_paths
from robustness.probes.registry import register
from robustness.probes.result import ProbeResult, Progress, Rows, to_numpy

if TYPE_CHECKING:
    from openTSNE import TSNEEmbedding

NAME = "embedding"
PERPLEXITY = 40.0


@register("embedding")
def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    stages: Sequence[str] = ("penultimate",),
    placed: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    components: int = 30,
    iterations: tuple[int, int] = (100, 400),
    tsne_seeds: int = 3,
    neighbours: int = 10,
    progress: Progress | None = None,
) -> ProbeResult:
    """Embed the features of ``images`` (N, 3, H, W) with ``labels`` (N,) at each of ``stages``.

    Maps are averaged over their positions first. ``placed``: condition → places (M,) in ``images``, and
    these images under the condition (M, 3, H, W), shifted or attacked, to be embedded into the finished map
    of clean images. ``iterations``: with early exaggeration, then without. The perplexity of 40 is lowered to
    (N − 1)/3 for small N.

    Rows per stage (``all``): in the raw space ``knn_purity`` (share of the ``neighbours`` nearest images that
    have the same label) and ``silhouette`` (Euclidean); the same with the suffixes ``_pca`` and ``_2d``;
    ``trustworthiness_pca`` and ``trustworthiness_2d`` against the raw space; ``explained_variance_pca``;
    ``kl``. Numbers of the 2-D space are means over the seeds, with a row ``…_sd`` each. For every condition
    ``placed_purity/<name>``, the share of the clean neighbours in the raw space that have the placed image's
    label, and ``placed_purity_2d/<name>``.

    In the raw space: ``moved/<name>``, how far the condition moves the median image, in mean distances
    between the centres of two classes (of those that it changes: an attack leaves what is wrong already as
    it is); and, one row per image and the mean, ``other_class/<name>``, whether
    it then lies nearest to the centre of another class (0 or 1), and ``other_class/clean``, whether it does
    so unmoved. The centre of an image's own class is that of the class's other clean images; NaN where there
    are none.

    A stage with the same response to every image has NaN everywhere.

    Arrays: ``<stage>/map`` (N, 2), of the first seed, ``labels`` (N,); ``places/<name>`` (M,),
    ``<stage>/start/<name>`` and ``<stage>/placed/<name>`` (M, 2), where the clean and the moved images fall
    in the finished map, ``<stage>/other_class/<name>`` (M,), ``<stage>/moved/<name>`` (M,), NaN where the
    condition leaves an image as it is.

    Raises UserError if there are fewer than eight images or fewer than two classes.
    """
    if len(images) < 8 or len(torch.unique(labels)) < 2:
        raise UserError(
            f"embedding: {len(images)} images of {len(torch.unique(labels))} classes are too few; "
            "give at least 8 images of 2 classes"
        )
    paths = stage_paths(model, stages)
    with probing(model, seed=seed):
        rows = Rows(NAME, relative_depths(model, paths, images[:1]))
        clean = {name: to_numpy(pooled(value)) for name, value in features(model, paths, images).items()}
        others = {
            name: {s: to_numpy(pooled(value)) for s, value in features(model, paths, moved).items()}
            for name, (_, moved) in (placed or {}).items()
        }
    truth = labels.cpu().numpy()
    places = {name: to_numpy(which) for name, (which, _) in (placed or {}).items()}
    unchanged = {
        name: to_numpy((moved.cpu() == images[which].cpu()).flatten(1).all(1))
        for name, (which, moved) in (placed or {}).items()
    }
    arrays = {"labels": truth} | {f"places/{name}": which for name, which in places.items()}
    for stage in paths:
        raw = clean[stage]
        if np.ptp(raw, axis=0).max() <= 1e-6 * np.abs(raw).max():
            _nothing_to_see(rows, stage, len(raw), arrays)
            continue
        reduced, explained, project = reduce(raw, components)
        rows.add(stage, "explained_variance_pca", explained)
        for suffix, space in (("", raw), ("_pca", reduced)):
            _quality(rows, stage, suffix, space, truth, neighbours)
        rows.add(stage, "trustworthiness_pca", trust(raw, reduced, neighbours))

        measured: dict[str, list[float]] = {}
        for repeat in range(tsne_seeds):
            if progress:
                progress(f"t-SNE of {stage}", repeat, tsne_seeds)
            fitted = tsne(reduced, PERPLEXITY, iterations, seeds.derive(seed, NAME, repeat) % 2**31)
            plane = np.asarray(fitted)
            found = {
                "knn_purity_2d": knn_purity(plane, truth, neighbours),
                "silhouette_2d": silhouette(plane, truth),
                "trustworthiness_2d": trust(raw, plane, neighbours),
                "kl": float(fitted.kl_divergence),
            }
            if repeat == 0:
                arrays[f"{stage}/map"] = plane.astype(np.float32)
            for name in others:
                put = np.asarray(fitted.transform(project(others[name][stage]), perplexity=5))
                if repeat == 0:
                    # By the way of the moved ones: what does not change keeps its place.
                    start = fitted.transform(project(raw[places[name]]), perplexity=5)
                    arrays[f"{stage}/start/{name}"] = np.asarray(start, dtype=np.float32)
                    arrays[f"{stage}/placed/{name}"] = put.astype(np.float32)
                wanted = truth[places[name]]
                found[f"placed_purity_2d/{name}"] = knn_purity(plane, truth, neighbours, put, wanted)
            for metric, value in found.items():
                measured.setdefault(metric, []).append(value)
        if progress:
            progress(f"t-SNE of {stage}", tsne_seeds, tsne_seeds)
        for metric, values in measured.items():
            name, slash, placed_set = metric.partition("/")
            rows.add(stage, metric, np.mean(values))
            spread = np.std(values, ddof=1) if len(values) > 1 else np.nan
            rows.add(stage, f"{name}_sd{slash}{placed_set}", spread)
        rows.add_units(stage, "other_class/clean", moves(raw, truth, np.arange(len(raw)), raw)[1])
        for name, which in places.items():
            there = others[name][stage]
            value = knn_purity(raw, truth, neighbours, there, truth[which])
            rows.add(stage, f"placed_purity/{name}", value)
            length, elsewhere = moves(raw, truth, which, there)
            length[unchanged[name]] = np.nan
            rows.add(stage, f"moved/{name}", np.nanmedian(length) if np.isfinite(length).any() else np.nan)
            rows.add_units(stage, f"other_class/{name}", elsewhere)
            arrays |= {f"{stage}/moved/{name}": length, f"{stage}/other_class/{name}": elsewhere}
    return ProbeResult(NAME, rows.table(), arrays)


def reduce(raw: np.ndarray, components: int):
    """PCA of (N, D) to at most ``components`` dimensions: the reduced data, the share of variance kept,
    and the function that projects further data."""
    from sklearn.decomposition import PCA

    count = max(min(components, *raw.shape), 1)
    pca = PCA(n_components=count, svd_solver="full").fit(raw)
    return pca.transform(raw), float(pca.explained_variance_ratio_.sum()), pca.transform


def knn_purity(
    space: np.ndarray,
    labels: np.ndarray,
    neighbours: int,
    queries: np.ndarray | None = None,
    query_labels: np.ndarray | None = None,
) -> float:
    """The mean share of the nearest neighbours (Euclidean) in ``space`` (N, D) that have the query's label.

    Without ``queries`` every point is asked, itself left out. In [0, 1]; 1 = every neighbourhood is pure.
    """
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=min(neighbours, len(space) - 1)).fit(space)
    index = model.kneighbors(queries, return_distance=False)
    wanted = labels if queries is None else query_labels
    return float((labels[index] == wanted[:, None]).mean())


def moves(
    space: np.ndarray, labels: np.ndarray, places: np.ndarray, moved: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far images went, and whether they ended nearest to the centre of another class: (M,) and (M,).

    ``space`` (N, D) holds the clean images with ``labels`` (N,), ``moved`` (M, D) those of ``places`` (M,)
    elsewhere. Distances in units of the mean distance between two classes' centres; 0 or 1, NaN where the
    image is the only one of its class: it counts for no centre of its own.
    """
    names, own = np.unique(labels, return_inverse=True)
    count = np.bincount(own)
    sums = np.stack([space[own == each].sum(0) for each in range(len(names))])
    centres = sums / count[:, None]
    between = np.linalg.norm(centres[:, None] - centres[None], axis=2)[np.triu_indices(len(names), 1)].mean()
    length = np.linalg.norm(moved - space[places], axis=1) / between
    which = own[places]
    distance = np.linalg.norm(moved[:, None] - centres[None], axis=2)
    others = np.maximum(count[which] - 1, 1)[:, None]
    rest = (sums[which] - space[places]) / others
    distance[np.arange(len(which)), which] = np.linalg.norm(moved - rest, axis=1)
    return length, np.where(count[which] > 1, distance.argmin(1) != which, np.nan)


def silhouette(space: np.ndarray, labels: np.ndarray) -> float:
    """The mean silhouette in [−1, 1]; NaN where it does not exist (every image a class of its own)."""
    from sklearn.metrics import silhouette_score

    classes = len(np.unique(labels))
    return float(silhouette_score(space, labels)) if 1 < classes < len(labels) else float("nan")


def trust(raw: np.ndarray, space: np.ndarray, neighbours: int) -> float:
    """Trustworthiness of ``space`` against ``raw`` in [0, 1]: 1 = no false neighbours (Venna & Kaski
    2001)."""
    from sklearn.manifold import trustworthiness

    return float(trustworthiness(raw, space, n_neighbors=min(neighbours, (len(raw) - 1) // 2)))


def _nothing_to_see(rows: Rows, stage: str, count: int, arrays: dict[str, np.ndarray]) -> None:
    """A stage with the same response to every image: no neighbourhoods, no variance, no map."""
    for metric in ("knn_purity", "silhouette", "knn_purity_2d", "silhouette_2d", "explained_variance_pca"):
        rows.add(stage, metric, np.nan)
    arrays[f"{stage}/map"] = np.full((count, 2), np.nan, dtype=np.float32)


def _quality(
    rows: Rows, stage: str, suffix: str, space: np.ndarray, labels: np.ndarray, neighbours: int
) -> None:
    rows.add(stage, f"knn_purity{suffix}", knn_purity(space, labels, neighbours))
    rows.add(stage, f"silhouette{suffix}", silhouette(space, labels))


def tsne(
    reduced: np.ndarray, perplexity: float, iterations: tuple[int, int], random_state: int
) -> TSNEEmbedding:
    """An openTSNE embedding (N, 2) of (N, D) in the setting of the paper, initialised by PCA; exact
    neighbours and one thread, so that the same machine gives the same map."""
    from openTSNE import TSNE

    early, later = iterations
    return TSNE(
        perplexity=min(perplexity, max((len(reduced) - 1) / 3, 2.0)),
        early_exaggeration=4.0,
        early_exaggeration_iter=early,
        n_iter=later,
        learning_rate="auto",
        initialization="pca",
        neighbors="exact",
        negative_gradient_method="bh" if len(reduced) < 5000 else "fft",
        n_jobs=1,
        random_state=random_state,
    ).fit(np.ascontiguousarray(reduced, dtype=np.float64))
