"""Places the camera, the light, the backdrop, distractors and an occluder of a view in the scene.

Distractors are placed one after another, so that the first ones are the same for any number of them. They
neither touch the target nor stand in front of it; what they occlude nevertheless is measured when the image
is rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from robustness.data.image_set import DISTRACTOR
from robustness.data.objects import backgrounds
from robustness.data.objects.coat import Coat
from robustness.data.objects.mesh import Mesh
from robustness.data.objects.renderer import target_area
from robustness.data.objects.scene import FIELD_OF_VIEW, Backdrop, Camera, Light, Placed, direction
from robustness.data.objects.views import View
from robustness.seeds import numpy_generator

TRIES = 40
SEARCH_SIZE = 32
"""Image size at which an occluder's place is searched."""

TOLERANCE = 0.03
"""How near to the wanted fraction an occluder must come to be taken at once."""

Meshes = Callable[[int], Mesh]
"""The mesh of the i-th distractor in the pool of an object."""


def camera_of(view: View, mesh: Mesh) -> Camera:
    """The camera of a view; it looks at the middle of the mesh's box."""
    return Camera(
        azimuth=view.azimuth,
        elevation=view.elevation,
        distance=view.camera_distance,
        target=(0.0, mesh.half[1], 0.0),
        roll=view.roll,
        shift=view.shift,
    )


def light_of(view: View) -> Light:
    """The key light of a view."""
    return Light(view.light_azimuth, view.light_elevation, view.light_strength)


def backdrop_of(view: View, seed: int) -> Backdrop:
    """The backdrop of a view, drawn from its key and kind."""
    draw = numpy_generator(seed, "backdrop", view.key, view.background)
    return backgrounds.draw(view.background, draw, room_half=1.2 * view.camera_distance + 1)


def place(
    view: View, mesh: Mesh, pool: Meshes, pool_size: int, seed: int, coat: Coat | None = None
) -> list[Placed]:
    """The target (in a coat), the distractors around it and the occluder in front of it."""
    target = Placed(mesh, coat=coat)
    placed = [target, *_distractors(view, target, pool, pool_size, seed)]
    if view.hidden > 0:
        placed.append(_hiding(view, target, pool, pool_size, seed))
    elif view.front is not None:
        scale, aside = view.front
        placed.append(_in_front(view, target, pool(pool_size - 1), scale, aside))
    return placed


def _distractors(view: View, target: Placed, pool: Meshes, pool_size: int, seed: int) -> list[Placed]:
    draw = numpy_generator(seed, "distractors", view.key)
    towards, right = _towards_and_right(view)
    reach = np.tan(np.radians(FIELD_OF_VIEW / 2))
    chosen: list[Placed] = []
    for index in range(view.distractors):
        mesh = pool(index % pool_size)
        for attempt in range(TRIES):
            scale = draw.uniform(0.4, 0.85) * (1 - 0.5 * attempt / TRIES)
            depth = draw.uniform(-3.5, 0.4)  # towards the camera, from the target
            aside = draw.uniform(-1, 1) * reach * (view.camera_distance - depth)
            position = tuple((depth * towards + aside * right).tolist())
            obj = Placed(mesh, position, draw.uniform(0, 360), scale, DISTRACTOR)
            if attempt < TRIES // 2 and _behind(obj, target, view):
                continue
            if all(_apart(obj, other) for other in (target, *chosen)) and not _before(obj, target, view):
                chosen.append(obj)
                break
    return chosen


def _apart(one: Placed, other: Placed) -> bool:
    """Whether the footprints of two objects, their rotated boxes, do not overlap."""
    gap = np.array(other.position) - np.array(one.position)
    for obj in (one, other):
        for axis in obj.rotation[:, (0, 2)].T:
            if abs(float(gap @ axis)) > _extent(one, axis) + _extent(other, axis) + 0.03:
                return True
    return False


def _extent(obj: Placed, axis: np.ndarray) -> float:
    """Half the length of the object's box along a horizontal axis."""
    along = np.abs(obj.rotation.T @ axis)
    return float(obj.scale * (along[0] * obj.mesh.half[0] + along[2] * obj.mesh.half[2]))


def _before(obj: Placed, target: Placed, view: View) -> bool:
    """Whether the object is wholly or partly between camera and target."""
    depth, middle, half = _seen(obj, view)
    towards, right = _towards_and_right(view)
    if depth + _extent(obj, towards) < -_extent(target, towards):
        return False
    return middle - half < _extent(target, right)


def _behind(obj: Placed, target: Placed, view: View) -> bool:
    """Whether the object stands behind the target and half or more of its width is hidden there."""
    depth, middle, _ = _seen(obj, view)
    return depth < 0 and middle < _extent(target, _towards_and_right(view)[1])


def _seen(obj: Placed, view: View) -> tuple[float, float, float]:
    """How near the camera it is; its middle's distance aside and half its width, as seen at the target."""
    towards, right = _towards_and_right(view)
    depth, aside = float(np.array(obj.position) @ towards), float(np.array(obj.position) @ right)
    nearer = (view.camera_distance - depth) / view.camera_distance
    return depth, abs(aside) / nearer, _extent(obj, right) / nearer


def _towards_and_right(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Horizontal unit vectors from the target to the camera, and to the camera's right."""
    towards = direction(view.azimuth, 0)
    return towards, np.array([towards[2], 0, -towards[0]])


def _in_front(view: View, target: Placed, mesh: Mesh, scale: float, aside: float) -> Placed:
    """An object before the target; at ``aside`` 1 or -1 it stands just beside it, as the camera sees it."""
    towards, right = _towards_and_right(view)
    obj = Placed(mesh, (0.0, 0.0, 0.0), view.azimuth + 25 * view.side, scale, DISTRACTOR)
    depth = min(
        _extent(target, towards) + _extent(obj, towards) + 0.1,
        0.8 * view.camera_distance * np.cos(np.radians(view.elevation)) - _extent(obj, towards),
    )
    nearer = (view.camera_distance - depth) / view.camera_distance
    beside = _extent(target, right) * nearer + _extent(obj, right)
    position = tuple((depth * towards + aside * beside * right).tolist())
    return replace(obj, position=position)


def _hiding(view: View, target: Placed, pool: Meshes, pool_size: int, seed: int) -> Placed:
    """An occluder that hides the fraction ``view.hidden`` of the target, as closely as possible.

    The first object of the pool, from its end, within TOLERANCE; otherwise the nearest one.
    """
    camera = camera_of(view, target.mesh)
    alone = target_area([target], camera, SEARCH_SIZE)
    side = 1 if numpy_generator(seed, "occluder", view.key).random() < 0.5 else -1
    best: tuple[float, Placed | None] = (np.inf, None)

    def error(obj: Placed) -> float:
        return 1 - target_area([target, obj], camera, SEARCH_SIZE) / max(alone, 1e-9) - view.hidden

    for index in range(pool_size):
        mesh = pool(pool_size - 1 - index)
        for scale in (0.6, 0.85, 1.2, 1.7):
            middle = _in_front(view, target, mesh, scale, 0.0)
            most = error(middle)
            best = min(best, (abs(most), middle), key=lambda pair: pair[0])
            if most < -TOLERANCE:
                continue  # too small to hide so much
            near, far = 0.0, 1.0
            for _ in range(7):
                aside = (near + far) / 2
                obj = _in_front(view, target, mesh, scale, side * aside)
                wrong = error(obj)
                best = min(best, (abs(wrong), obj), key=lambda pair: pair[0])
                if abs(wrong) < TOLERANCE / 3:
                    break
                near, far = (aside, far) if wrong > 0 else (near, aside)
            break
        if best[0] <= TOLERANCE:
            break
    assert best[1] is not None
    return best[1]


def measured_visibility(placed: Sequence[Placed], camera: Camera, image_size: int, shown: float) -> float:
    """The visible fraction of the target: the area ``shown`` over its area when it stands alone."""
    if len(placed) == 1:
        return 1.0
    alone = target_area(placed[:1], camera, image_size)
    return min(1.0, shown / alone) if alone > 0 else 0.0
