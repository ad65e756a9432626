"""Renders a scene of meshes by ray casting with Embree: no GPU, no screen.

In the scene y is up; the target stands at the origin. Every pixel is sampled by ``SAMPLES`` x ``SAMPLES``
rays. A ray passes through transparent surfaces, accumulating their colour by opacity, and ends on the
backdrop. Surfaces are lit by a key light with soft shadows, by the sky with ambient occlusion (contact
shadows) and by a little light from the camera, with a specular highlight. Of the ground only shadows show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from robustness.data.image_set import BACKGROUND, DISTRACTOR, TARGET
from robustness.data.objects.coat import Coat
from robustness.data.objects.mesh import Mesh
from robustness.data.objects.scene import FIELD_OF_VIEW, Backdrop, Camera, Light, Placed, direction

SAMPLES = 2
"""Rays across a pixel, and down."""

LAYERS = 8
"""Surfaces that one ray may pass through."""

NUDGE = 2e-3
"""Rays leave a surface at this distance, so that they do not hit it again (half a model's diagonal is 1)."""

KEY, SKY, FILL = 0.85, 0.55, 0.18
"""Strength of the key light, the sky and the light from the camera: a white surface facing all is near 1."""


@dataclass(frozen=True)
class Rendering:
    """``image`` uint8 (H, W, 3) sRGB; ``mask`` uint8 (H, W); areas in pixels that show target and clutter.

    A pixel is TARGET in the mask if any of its rays meets the target, else DISTRACTOR if any meets something
    else.
    """

    image: np.ndarray
    mask: np.ndarray
    target_area: float
    clutter_area: float


def render(
    placed: Sequence[Placed],
    camera: Camera,
    light: Light,
    backdrop: Backdrop,
    image_size: int,
    *,
    shadows: bool = True,
) -> Rendering:
    """Render the scene as a square image; ``shadows=False`` leaves out every shadow, also on the ground."""
    screen, place_of, pattern = _picture(image_size)
    directions = _directions(camera, place_of)
    origin = camera.origin
    count = len(directions)
    light_rays = _light_rays(light, pattern) if shadows else None
    colour = np.zeros((count, 3), dtype=np.float32)
    share = np.zeros((3, count), dtype=np.float32)  # how much of each ray meets a target, a distractor
    clear = np.ones(count, dtype=np.float32)
    for rays, hits in _layers(placed, origin, directions, clear):
        for instance in np.unique(hits.instance):
            mine = np.flatnonzero(hits.instance == instance)
            ray = rays[mine]
            obj = placed[instance]
            shaded, opacity = _shade(
                placed, obj, hits.take(mine), directions[ray], light, light_rays, pattern[ray]
            )
            weight = clear[ray] * opacity
            colour[ray] += weight[:, None] * shaded
            share[obj.kind, ray] += weight
            clear[ray] -= weight
    seen = np.flatnonzero(clear > 0.004)
    behind = backdrop.colours(screen[seen], origin, directions[seen])
    if light_rays is not None:
        behind = (
            behind
            * _ground_light(placed, origin, directions[seen], light, light_rays, pattern[seen])[:, None]
        )
    colour[seen] += clear[seen, None] * behind
    image = np.clip(_by_pixel(colour, image_size), 0, 1) ** np.float32(1 / 2.2) * 255 + np.float32(0.5)
    mask = np.full((image_size, image_size), BACKGROUND, dtype=np.uint8)
    for kind in (DISTRACTOR, TARGET):
        mask[_by_pixel(share[kind][:, None], image_size)[..., 0] > 0] = kind
    target, clutter = (float(share[kind].sum()) / SAMPLES**2 for kind in (TARGET, DISTRACTOR))
    return Rendering(image.astype(np.uint8), mask, target, clutter)


def target_area(placed: Sequence[Placed], camera: Camera, image_size: int) -> float:
    """The area in pixels in which the target is seen, as :func:`render` finds it, without shading."""
    _, place_of, _ = _picture(image_size)
    directions = _directions(camera, place_of)
    clear = np.ones(len(directions), dtype=np.float32)
    area = 0.0
    for rays, hits in _layers(placed, camera.origin, directions, clear):
        for instance in np.unique(hits.instance):
            mine = np.flatnonzero(hits.instance == instance)
            obj = placed[instance]
            opacity = _surface_colour(obj.mesh, hits.take(mine))[1]
            weight = clear[rays[mine]] * opacity
            clear[rays[mine]] -= weight
            area += float(weight.sum()) if obj.kind == TARGET else 0.0
    return area / SAMPLES**2


@dataclass(frozen=True)
class _Hits:
    """Where rays met surfaces: which instance and triangle, barycentric u and v, the point in the scene."""

    instance: np.ndarray
    triangle: np.ndarray
    u: np.ndarray
    v: np.ndarray
    points: np.ndarray

    def take(self, rows: np.ndarray) -> _Hits:
        return _Hits(self.instance[rows], self.triangle[rows], self.u[rows], self.v[rows], self.points[rows])


@lru_cache(maxsize=4)
def _picture(image_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every ray: its place (right, down; 0 to 1), the same as (right, up; -1 to 1), its sample."""
    side = image_size * SAMPLES
    steps = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side
    down, right = np.meshgrid(steps, steps, indexing="ij")
    screen = np.stack([right.ravel(), down.ravel()], axis=1)
    sample = np.arange(side) % SAMPLES
    pattern = (sample[:, None] * SAMPLES + sample[None, :]).ravel()
    return screen, np.stack([2 * screen[:, 0] - 1, 1 - 2 * screen[:, 1]], axis=1), pattern


def _by_pixel(values: np.ndarray, image_size: int) -> np.ndarray:
    """Values of rays (N, C), averaged over the pixels (H, W, C)."""
    grid = values.reshape(image_size, SAMPLES, image_size, SAMPLES, -1)
    samples = [grid[:, down, :, right] for down in range(SAMPLES) for right in range(SAMPLES)]
    return sum(samples[1:], samples[0]) / np.float32(SAMPLES**2)


def _directions(camera: Camera, place_of: np.ndarray) -> np.ndarray:
    reach = np.float32(np.tan(np.radians(FIELD_OF_VIEW / 2)))
    inside = np.empty((len(place_of), 3), dtype=np.float32)  # in the camera's axes: right, up, forward
    inside[:, 0] = (place_of[:, 0] - np.float32(2 * camera.shift[0])) * reach
    inside[:, 1] = (place_of[:, 1] + np.float32(2 * camera.shift[1])) * reach
    inside[:, 2] = 1
    inside /= np.sqrt(np.einsum("ij,ij->i", inside, inside))[:, None]
    return inside @ np.stack(camera.axes())


def _layers(
    placed: Sequence[Placed], origin: np.ndarray, directions: np.ndarray, clear: np.ndarray
) -> Iterator[tuple[np.ndarray, _Hits]]:
    """Surface after surface along the rays: the rays that meet one, and where; rays go on where still clear.

    The caller lowers ``clear`` between the layers.
    """
    rays = np.arange(len(directions))
    start = origin
    for _ in range(LAYERS):
        hits, met = _nearest(placed, start, directions if len(rays) == len(directions) else directions[rays])
        rays = rays[met]
        if not len(rays):
            return
        yield rays, hits
        going = clear[rays] > 0.03
        rays, points = rays[going], hits.points[going]
        if not len(rays):
            return
        start = points + NUDGE * directions[rays]


def _nearest(
    placed: Sequence[Placed], origins: np.ndarray, directions: np.ndarray
) -> tuple[_Hits, np.ndarray]:
    """The nearest surfaces, and the rays (rows) that meet them; ``origins`` is (N, 3), or (3,) for all."""
    count = len(directions)
    far = np.full(count, 1e30, dtype=np.float32)
    instance = np.full(count, -1, dtype=np.int32)
    triangle = np.zeros(count, dtype=np.int32)
    u, v = np.zeros(count, dtype=np.float32), np.zeros(count, dtype=np.float32)
    for index, obj in enumerate(placed):
        rows = _near_sphere(obj, origins, directions)
        if not len(rows):
            continue
        local = _to_mesh(obj, origins if origins.ndim == 1 else origins[rows], directions[rows])
        found = obj.mesh.scene.run(*local, dists=far[rows], output=True)
        hit = np.flatnonzero(found["geomID"] >= 0)
        rows = rows[hit]
        far[rows] = found["tfar"][hit]
        instance[rows] = index
        triangle[rows] = found["primID"][hit]
        u[rows], v[rows] = found["u"][hit], found["v"][hit]
    met = np.flatnonzero(instance >= 0)
    points = (origins if origins.ndim == 1 else origins[met]) + far[met, None] * directions[met]
    return _Hits(instance[met], triangle[met], u[met], v[met], points), met


def _near_sphere(obj: Placed, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Rows of the rays that pass the instance's bounding sphere; ``origins`` is (N, 3), or (3,) for all."""
    towards = obj.centre - origins
    if towards.ndim == 1:
        along, square = directions @ towards, towards @ towards
    else:
        along, square = np.einsum("ij,ij->i", towards, directions), np.einsum("ij,ij->i", towards, towards)
    radius = np.float32(obj.scale * 1.001)
    return np.flatnonzero((square - along * along <= radius * radius) & (along > -radius))


def _to_mesh(obj: Placed, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rays in the mesh's own frame; distances along them stay those of the scene."""
    turn = obj.rotation / np.float32(obj.scale)
    moved = (origins - np.array(obj.position, dtype=np.float32)) @ turn
    turned = directions @ turn
    return np.ascontiguousarray(np.broadcast_to(moved, turned.shape)), turned


def _surface_colour(worn: Mesh | Coat, hits: _Hits) -> tuple[np.ndarray, np.ndarray]:
    """Linear colour (N, 3) and opacity (N,) of the material at the hits."""
    surface = worn.surface
    material = worn.materials[hits.triangle]
    colour = surface.diffuse[material]
    opacity = surface.opacity[material]
    textured = np.flatnonzero(surface.texture[material, 1] > 0)
    if len(textured):
        place = worn.texcoords[hits.triangle[textured]]
        u, v = hits.u[textured, None], hits.v[textured, None]
        place = place[:, 0] + u * (place[:, 1] - place[:, 0]) + v * (place[:, 2] - place[:, 0])
        offset, height, width = surface.texture[material[textured]].T
        place = place - np.floor(place)
        column = np.minimum((place[:, 0] * width).astype(np.int64), width - 1)
        row = np.minimum(((1 - place[:, 1]) * height).astype(np.int64), height - 1)
        texels = surface.texels[offset + row * width + column]
        colour[textured] *= texels[:, :3]
        opacity[textured] *= texels[:, 3]
    return colour, opacity


def _shade(
    placed: Sequence[Placed],
    obj: Placed,
    hits: _Hits,
    directions: np.ndarray,
    light: Light,
    light_rays: tuple[np.ndarray, np.ndarray] | None,
    pattern: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Linear colour (N, 3) and opacity (N,) of one instance at the hits."""
    mesh, worn = obj.mesh, obj.coat or obj.mesh
    colour, opacity = _surface_colour(mesh, hits)
    if obj.coat is not None:  # holes and glass belong to the shape
        colour, _ = _surface_colour(obj.coat, hits)
    material = worn.materials[hits.triangle]
    corners = mesh.normals[hits.triangle]
    u, v = hits.u[:, None], hits.v[:, None]
    normal = corners[:, 0] + u * (corners[:, 1] - corners[:, 0]) + v * (corners[:, 2] - corners[:, 0])
    normal = normal @ obj.rotation.T
    normal /= np.sqrt(np.einsum("ij,ij->i", normal, normal))[:, None] + np.float32(1e-12)
    facing = -np.einsum("ij,ij->i", normal, directions)
    normal *= np.where(facing < 0, np.float32(-1), np.float32(1))[:, None]  # surfaces have no wrong side
    facing = np.abs(facing)
    sun = direction(light.azimuth, light.elevation).astype(np.float32)
    lit = np.maximum(normal @ sun, 0)
    open_sky = np.ones(len(lit), dtype=np.float32)
    if light_rays is not None:
        start = hits.points + NUDGE * obj.scale * (normal - directions)
        towards_sun, towards_sky = light_rays
        front = np.flatnonzero(lit > 0)
        lit[front[_blocked(placed, start[front], towards_sun[pattern[front]])]] = 0
        sky = towards_sky[pattern]
        below = np.minimum(np.einsum("ij,ij->i", sky, normal), 0)
        sky = sky - 2 * below[:, None] * normal
        open_sky[_blocked(placed, start, sky)] = 0.3
    key = np.float32(KEY * light.strength) * lit
    ambient = np.float32(SKY) * (np.float32(0.55) + np.float32(0.45) * normal[:, 1]) * open_sky
    shaded = colour * (key + ambient + np.float32(FILL) * facing)[:, None]
    specular = worn.surface.specular[material]
    if specular.any():
        half = sun - directions
        half /= np.sqrt(np.einsum("ij,ij->i", half, half))[:, None] + np.float32(1e-12)
        glance = np.maximum(np.einsum("ij,ij->i", half, normal), 0) ** np.minimum(
            worn.surface.shininess[material], 60
        )
        mirrored = directions[:, 1] + 2 * facing * normal[:, 1]
        sheen = np.float32(0.35 * SKY) * (np.float32(0.5) + np.float32(0.5) * mirrored) * open_sky
        shaded += specular * (glance * key + sheen)[:, None]
    return shaded, opacity


def _ground_light(
    placed: Sequence[Placed],
    origin: np.ndarray,
    directions: np.ndarray,
    light: Light,
    light_rays: tuple[np.ndarray, np.ndarray],
    pattern: np.ndarray,
) -> np.ndarray:
    """The fraction (N,) of its light that the ground, y = 0, keeps in shadow; 1 where there is no ground."""
    share = np.ones(len(directions), dtype=np.float32)
    if origin[1] <= 0:
        return share
    reach = origin[1] / np.maximum(-directions[:, 1], np.float32(1e-6))
    ground = np.flatnonzero((directions[:, 1] < 0) & (reach < 60))
    points = origin + reach[ground, None] * directions[ground]
    points[:, 1] = NUDGE
    towards_sun, towards_sky = light_rays
    key = KEY * light.strength * np.sin(np.radians(light.elevation))
    lost = np.zeros(len(ground), dtype=np.float32)
    lost[_blocked(placed, points, towards_sun[pattern[ground]])] += np.float32(key)
    lost[_blocked(placed, points, towards_sky[pattern[ground]])] += np.float32(0.7 * SKY)
    share[ground] -= lost / np.float32(key + SKY)
    return share


def _blocked(placed: Sequence[Placed], points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Rows of the rays from ``points`` that meet something that throws a shadow."""
    blocked = np.zeros(len(points), dtype=bool)
    for obj in placed:
        if obj.mesh.shadow_scene is None:
            continue
        rows = _near_sphere(obj, points, directions)
        rows = rows[~blocked[rows]]
        if len(rows):
            local = _to_mesh(obj, points[rows], directions[rows])
            blocked[rows] = obj.mesh.shadow_scene.run(*local, query="OCCLUDED") >= 0
    return np.flatnonzero(blocked)


def _light_rays(light: Light, pattern: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions to the key light and to the sky, one for each sample of a pixel, float32 (samples, 3).

    Spread over a disc and a cone: the average over a pixel's samples makes shadows soft.
    """
    count = int(pattern.max()) + 1
    around = 2 * np.pi * (np.arange(count) + 0.5) / count
    sun = direction(light.azimuth, light.elevation)
    side = np.cross(sun, [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    other = np.cross(side, sun)
    towards_sun = sun + 0.09 * (np.cos(around)[:, None] * side + np.sin(around)[:, None] * other)
    tilt = np.radians(42)
    towards_sky = np.stack(
        [np.sin(tilt) * np.cos(around), np.full(count, np.cos(tilt)), np.sin(tilt) * np.sin(around)], axis=1
    )
    towards_sun /= np.linalg.norm(towards_sun, axis=1, keepdims=True)
    return towards_sun.astype(np.float32), towards_sky.astype(np.float32)
