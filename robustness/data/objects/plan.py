"""What is to be rendered: for every object its images in every role and condition, with their views."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from robustness.data.image_set import NO_CLASS, format_level
from robustness.data.objects.class_list import CLASSES, ClassList, ListedObject
from robustness.data.objects.settings import RANDOM, SPHERE, RenderSettings
from robustness.data.objects.views import View, at_level, canonical, diverse, on_sphere
from robustness.seeds import derive, numpy_generator
from robustness.shifts.rendered import RANDOM_LEVELS, sphere_level

POOLS = 24
"""So many pools of distractors are drawn for training, and as many for test."""


@dataclass(frozen=True)
class Job:
    """The images of one object in one role. ``pool``: distractors, and from its end occluders."""

    name: str
    object: ListedObject
    pool_number: int
    pool: tuple[str, ...]
    rows: tuple[dict[str, Any], ...] = field(repr=False)
    views: tuple[View, ...] = field(repr=False)


def plan(classes: ClassList, settings: RenderSettings) -> list[Job]:
    """All jobs in the order of the finished set: training, validation, test, and the distractors of the test
    as objects of no class, each alone and once; objects in the list's order."""
    jobs = []
    for role in settings.training:
        draw = canonical if role == "canonical" else diverse
        for each, count in _shares(classes, "train", settings.train_per_class, settings):
            views = [draw(settings.seed, f"train/{role}/{each.id}/{index}") for index in range(count)]
            jobs.append(_job(classes, settings, each, role, [_row(each, role) for _ in views], views))
    for each, count in _shares(classes, "validation", settings.validation_per_class, settings):
        views = [canonical(settings.seed, f"validation/{each.id}/{index}") for index in range(count)]
        jobs.append(
            _job(classes, settings, each, "canonical", [_row(each, "canonical") for _ in views], views)
        )
    for each, _ in _shares(classes, "test", 0, settings):
        jobs.append(_test_job(classes, settings, each))
    for each in classes.distractors_of("test"):
        row = _row(each, "canonical") | {"split": "unknown", "label": NO_CLASS}
        views = [canonical(settings.seed, f"unknown/{each.id}")]
        jobs.append(_job(classes, settings, each, "unknown", [row], views))
    return jobs


def _test_job(classes: ClassList, settings: RenderSettings, each: ListedObject) -> Job:
    """Every scene of a test object: clean, then each factor at each level; of the first scene also the sphere
    and random views."""
    rows, views = [], []
    for scene in range(settings.test_scenes):
        clean = canonical(settings.seed, f"test/{each.id}/{scene}")
        rows.append(_row(each, "test", scene=scene))
        views.append(clean)
        for factor, levels in settings.factors.items():
            for level in levels:
                view = at_level(clean, factor, level)
                label = NO_CLASS
                if view.surface == "other":
                    label, donors = _donors(classes, settings, each, scene)
                    view = replace(view, donors=donors)
                rows.append(_row(each, "test", factor, level, scene) | {"surface_label": label})
                views.append(view)
        if settings.sphere is not None and scene == 0:
            for elevation in settings.sphere.elevations:
                for azimuth in settings.sphere.azimuths:
                    rows.append(_row(each, "test", SPHERE, sphere_level(azimuth, elevation), scene))
                    views.append(on_sphere(clean, azimuth, elevation))
        if scene == 0:
            for level in RANDOM_LEVELS[: settings.random_views]:
                rows.append(_row(each, "test", RANDOM, level, scene))
                views.append(at_level(clean, RANDOM, level))
    return _job(classes, settings, each, "test", rows, views)


def _donors(
    classes: ClassList, settings: RenderSettings, each: ListedObject, scene: int
) -> tuple[int, tuple[str, ...]]:
    """The class whose materials an object wears in a scene, never its own and another in every scene while
    there are any, and the models of this class in the object's split in the order in which they are asked."""
    others = [label for label in range(len(CLASSES)) if label != each.label]
    draw = numpy_generator(settings.seed, "surface of another class", each.id)
    label = int(draw.permutation(others)[scene % len(others)])
    of_class = [other.id for other in classes.of_split(each.split) if other.label == label]
    order = numpy_generator(settings.seed, "donor", each.id, scene).permutation(len(of_class))
    return label, tuple(of_class[i] for i in order)


def _shares(
    classes: ClassList, split: str, per_class: int, settings: RenderSettings
) -> list[tuple[ListedObject, int]]:
    """The objects of a split, and how many of their class's images fall to each: as even as can be."""
    shares = []
    for label in range(len(CLASSES)):
        objects = [each for each in classes.of_split(split) if each.label == label]
        objects = objects[: settings.objects_per_class]
        for index, each in enumerate(objects):
            shares.append((each, per_class // len(objects) + (index < per_class % len(objects))))
    return [(each, count) for each, count in shares if count or not per_class]


def _row(
    each: ListedObject, role: str, factor: str = "clean/none", level: object = "0", scene: int = 0
) -> dict[str, Any]:
    shift, _, name = factor.partition("/")
    return {
        "split": each.split,
        "role": role,
        "object": each.id,
        "label": each.label,
        "shift": shift,
        "factor": name,
        "level": format_level(level),
        "scene": scene,
        "surface_label": NO_CLASS,
        "creator": each.creator,
    }


def _job(
    classes: ClassList,
    settings: RenderSettings,
    each: ListedObject,
    role: str,
    rows: list[dict[str, Any]],
    views: list[View],
) -> Job:
    distractors = [other.id for other in classes.distractors_of(each.split)]
    # Objects share pools, so that a worker which does one pool's objects in a row loads few models.
    number = derive(settings.seed, "which pool", each.id) % POOLS
    draw = numpy_generator(settings.seed, "distractor pool", each.split == "test", number)
    order = draw.permutation(len(distractors))[: settings.distractor_pool]
    name = f"{each.split}-{role}-{each.id}".replace("/", "-")
    return Job(name, each, number, tuple(distractors[i] for i in order), tuple(rows), tuple(views))
