"""Builds the rendered objects benchmark: an image set of training, validation and test images with masks."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import signal
import sys
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from robustness.data.image_set import ImageSet
from robustness.data.objects.attribution import attributions
from robustness.data.objects.class_list import CLASSES, OBJECT_SPLITS, ClassList, read_class_list
from robustness.data.objects.coat import coat_of
from robustness.data.objects.library import ModelLibrary
from robustness.data.objects.mesh import Mesh, load_mesh
from robustness.data.objects.placement import backdrop_of, camera_of, light_of, measured_visibility, place
from robustness.data.objects.plan import Job, plan
from robustness.data.objects.renderer import render
from robustness.data.objects.settings import RenderSettings
from robustness.errors import UserError
from robustness.shifts import rendered
from robustness.whole_files import write_arrays

__all__ = ["RenderSettings", "render_objects"]

MAX_TRIANGLES = 300_000
"""A worker keeps meshes of at most this many triangles together (about 100 MB) besides the scene's own."""

MEASURED = ("visible_fraction", "clutter_fraction", "distractors")


def render_objects(
    library_folder: Path | str,
    class_list: Path | str,
    settings: RenderSettings,
    out_folder: Path | str,
    *,
    workers: int = 2,
    progress: bool = True,
) -> ImageSet:
    """Render all images into ``out_folder`` as an :class:`ImageSet` and open it.

    Finished objects are kept beside it while the work goes on: after an interruption the next call goes on
    from there. The images do not depend on the number of workers. A model that cannot be read is left out,
    and named on standard error and in the set's ``rendering.json``. Besides the image set's own columns,
    ``samples`` has: scene (images of one scene are paired), azimuth, elevation, roll (degrees), distance
    (of the camera, in units of half the diagonal of the object's box), shift_right, shift_down (image
    widths), light_azimuth (degrees), background, distractors (their number), visible_fraction,
    clutter_fraction (of the image), creator.

    Raises UserError if the library or the class list is wrong, or nothing can be rendered.
    """
    library = ModelLibrary(library_folder)
    classes = read_class_list(class_list, library)
    jobs = plan(classes, settings)
    out_folder = Path(out_folder)
    parts = out_folder.with_name(f".{out_folder.name}-parts") / _fingerprint(class_list, settings)
    parts.mkdir(parents=True, exist_ok=True)
    for other in parts.parent.iterdir():
        if other != parts:
            shutil.rmtree(other, ignore_errors=True)
    waiting = [job for job in jobs if not (parts / f"{job.name}.npz").is_file()]
    _render_parts(waiting, jobs, Path(library_folder), settings, parts, workers, progress)
    images = _gather(jobs, parts, classes, library, settings, out_folder)
    shutil.rmtree(parts.parent, ignore_errors=True)
    return images


def _render_parts(
    waiting: list[Job],
    jobs: list[Job],
    library_folder: Path,
    settings: RenderSettings,
    parts: Path,
    workers: int,
    progress: bool,
) -> None:
    from tqdm import tqdm

    total = sum(len(job.views) for job in jobs)
    done = total - sum(len(job.views) for job in waiting)
    # Large jobs first, so that none is left for the end; objects of one pool together.
    waiting = sorted(waiting, key=lambda job: (job.object.split != "test", job.pool_number, job.object.id))
    with tqdm(total=total, initial=done, unit=" images", desc="render", disable=not progress) as bar:
        for count, message in _run(waiting, library_folder, settings, parts, workers):
            bar.update(count)
            if message:
                bar.write(f"render: {message}", file=sys.stderr)


def _run(
    waiting: list[Job], library_folder: Path, settings: RenderSettings, parts: Path, workers: int
) -> Iterator[tuple[int, str]]:
    """Do the jobs, here or in worker processes; for each, its number of images and what could not be read."""
    if workers <= 1 or len(waiting) <= 1:
        worker = Worker(library_folder, settings, parts)
        yield from map(worker.do, waiting)
        return
    # Not forked: the caller may have threads, which a forked process would find in the middle of their work.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(waiting)), _start, (library_folder, settings, parts)) as pool:
        yield from pool.imap_unordered(_do, waiting)


class Worker:
    """Renders jobs into part files, with a bounded store of meshes."""

    def __init__(self, library_folder: Path, settings: RenderSettings, parts: Path) -> None:
        self._library = ModelLibrary(library_folder)
        self._settings = settings
        self._parts = parts
        self._meshes: OrderedDict[str, Mesh | str] = OrderedDict()

    def do(self, job: Job) -> tuple[int, str]:
        """Render one job into its part file; its number of images, and why its model could not be read."""
        target = self._mesh(job.object.id)
        if isinstance(target, str):
            write_arrays({"notes": np.array([target], dtype=str)}, self._parts / f"{job.name}.npz")
            return len(job.views), f"left out: {target}"
        size, seed = self._settings.image_size, self._settings.seed
        images = np.zeros((len(job.views), size, size, 3), dtype=np.uint8)
        masks = np.zeros((len(job.views), size, size), dtype=np.uint8)
        measured = np.zeros((len(job.views), len(MEASURED)))
        notes = list(target.warnings)
        pool = partial(self._from_pool, job.pool, notes)
        for index, view in enumerate(job.views):
            coat = coat_of(view, target, partial(self._from_pool, view.donors, notes, 0))
            placed = place(view, target, pool, len(job.pool), seed, coat)
            camera = camera_of(view, target)
            drawn = render(placed, camera, light_of(view), backdrop_of(view, seed), size)
            images[index], masks[index] = drawn.image, drawn.mask
            visible = measured_visibility(placed, camera, size, drawn.target_area)
            measured[index] = visible, drawn.clutter_area / size**2, len(placed) - 1
        arrays = {"notes": np.array(notes, dtype=str), "images": images, "masks": masks, "measured": measured}
        write_arrays(arrays, self._parts / f"{job.name}.npz")
        return len(job.views), ""

    def _from_pool(self, names: tuple[str, ...], notes: list[str], index: int) -> Mesh:
        """The i-th model of these; where it cannot be read, the next one, and a note."""
        for name in (*names[index:], *names[:index]):
            mesh = self._mesh(name)
            if isinstance(mesh, Mesh):
                return mesh
            if mesh not in notes:
                notes.append(mesh)
        raise UserError(
            f"render: none of the distractors can be read, the first because {self._mesh(names[0])}"
        )

    def _mesh(self, name: str) -> Mesh | str:
        """The mesh, or why it cannot be read; the least used ones are dropped when the store is full."""
        if name in self._meshes:
            self._meshes.move_to_end(name)
            return self._meshes[name]
        try:
            self._meshes[name] = load_mesh(self._library, self._library[name])
        except ValueError as error:
            self._meshes[name] = str(error)
        while len(self._meshes) > 1 and self._stored() > MAX_TRIANGLES:
            self._meshes.popitem(last=False)
        return self._meshes[name]

    def _stored(self) -> int:
        return sum(len(mesh.triangles) for mesh in self._meshes.values() if isinstance(mesh, Mesh))


_worker: Worker | None = None  # of a worker process


def _start(library_folder: Path, settings: RenderSettings, parts: Path) -> None:
    from threadpoolctl import threadpool_limits

    global _worker
    threadpool_limits(1)  # one core per worker: the linear algebra is small
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends the workers
    _worker = Worker(library_folder, settings, parts)


def _do(job: Job) -> tuple[int, str]:
    assert _worker is not None
    return _worker.do(job)


def _gather(
    jobs: list[Job],
    parts: Path,
    classes: ClassList,
    library: ModelLibrary,
    settings: RenderSettings,
    out_folder: Path,
) -> ImageSet:
    """Put the parts together, in the plan's order, into one image set."""
    notes: list[str] = []
    kept: list[Job] = []
    for job in jobs:
        with np.load(parts / f"{job.name}.npz") as part:
            notes += part["notes"].tolist()
            if "images" in part:
                kept.append(job)
    try:
        _check_classes(kept, notes)
    except UserError:  # a model could not be read: mended, it must be read again
        shutil.rmtree(parts.parent, ignore_errors=True)
        raise
    count = sum(len(job.views) for job in kept)
    tables, start = [], 0
    with ImageSet.create(out_folder, count, settings.image_size, CLASSES) as writer:
        for job in kept:
            end = start + len(job.views)
            with np.load(parts / f"{job.name}.npz") as part:
                writer.images[start:end] = part["images"]
                writer.masks[start:end] = part["masks"]
                tables.append(_table(job, part["measured"]))
            start = end
        used = {job.object.id for job in kept} | {each.id for each in classes.distractors}
        record = {"settings": settings.model_dump(mode="json"), "notes": sorted(set(notes))}
        writer.add("rendering.json", json.dumps(record, indent=1) + "\n")
        writer.add("ATTRIBUTIONS.md", attributions(library, used))
        return writer.finish(pd.concat(tables, ignore_index=True))


def _check_classes(kept: list[Job], notes: list[str]) -> None:
    """Every class must have an object left in every split."""
    for split in OBJECT_SPLITS:
        left = {job.object.label for job in kept if job.object.split == split}
        for label, name in enumerate(CLASSES):
            if label not in left:
                reason = notes[0] if notes else "no object is chosen"
                raise UserError(f"render: class {name!r} has no object left in split {split!r}: {reason}")


def _table(job: Job, measured: np.ndarray) -> pd.DataFrame:
    views = [
        {
            "azimuth": view.azimuth,
            "elevation": view.elevation,
            "roll": view.roll,
            "distance": view.camera_distance,
            "shift_right": view.shift[0],
            "shift_down": view.shift[1],
            "light_azimuth": view.light_azimuth,
            "background": view.background,
        }
        for view in job.views
    ]
    table = pd.concat([pd.DataFrame(list(job.rows)), pd.DataFrame(views)], axis=1)
    for column, values in zip(MEASURED, measured.T, strict=True):
        table[column] = values
    return table.astype({"distractors": int})


def _fingerprint(class_list: Path | str, settings: RenderSettings) -> str:
    """A name for parts: equal only for equal settings, class list and rendering code."""
    digest = hashlib.blake2b(settings.model_dump_json().encode(), digest_size=8)
    digest.update(Path(class_list).read_bytes())
    for path in [*sorted(Path(__file__).parent.glob("*.py")), Path(rendered.__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
