"""A model of the library as a mesh that can be rendered: unit size, textured, with its ray-tracing scenes."""

from __future__ import annotations

import io
import posixpath
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from robustness.data.objects.library import Model, ModelLibrary, safe_path
from robustness.data.objects.obj_format import Material, ObjText, parse_mtl, parse_obj

if TYPE_CHECKING:
    from PIL.Image import Image

TEXTURE_SIZE = 128
"""Textures are reduced to this size in pixels: images are small, and averaging first avoids aliasing."""

MAX_TEXTURE_PIXELS = 1 << 26
CREASE = np.cos(np.radians(50))
"""Faces that meet at a sharper angle than 50 degrees are not shaded as one smooth surface."""

GOOD_NORMALS = 0.75
"""A file's own normals are used if their mean cosine with the faces' normals is more."""


@dataclass(frozen=True)
class Surface:
    """The materials of a mesh as arrays over materials (M); colours are linear RGB.

    ``texture`` int64 (M, 3): offset into ``texels``, height, width (height 0: no texture); ``texels`` float32
    (T, 4): linear RGB and opacity. ``casts`` bool (M,): opaque enough to throw a shadow.
    """

    diffuse: np.ndarray
    specular: np.ndarray
    shininess: np.ndarray
    opacity: np.ndarray
    texture: np.ndarray
    texels: np.ndarray
    casts: np.ndarray


@dataclass(frozen=True)
class Mesh:
    """Triangles of one model, standing on y = 0, centred in x and z; half its bounding box's diagonal is 1.

    ``triangles`` float32 (F, 3, 3); ``normals`` float32 (F, 3, 3), a corner's unit normal; ``texcoords``
    float32 (F, 3, 2); ``materials`` int32 (F,); ``half``: half the sides of the box; ``warnings``: what could
    not be read.
    """

    id: str
    triangles: np.ndarray
    normals: np.ndarray
    texcoords: np.ndarray
    materials: np.ndarray
    surface: Surface
    half: tuple[float, float, float]
    warnings: tuple[str, ...] = field(default=())

    @cached_property
    def scene(self) -> Any:
        """The Embree scene of all triangles."""
        return _embree_scene(self.triangles)

    @cached_property
    def shadow_triangles(self) -> np.ndarray:
        """The triangles that throw shadows (not glass, not mostly transparent textures)."""
        return self.triangles[self.surface.casts[self.materials]]

    @cached_property
    def shadow_scene(self) -> Any | None:
        """The Embree scene of the triangles that throw shadows; None if there are none."""
        casting = self.shadow_triangles
        if len(casting) == len(self.triangles):
            return self.scene
        return _embree_scene(casting) if len(casting) else None


def load_mesh(library: ModelLibrary, model: Model) -> Mesh:
    """Read, place, scale and texture one model.

    Raises ValueError, naming the model, if it cannot be read: no faces, numbers that are not finite, indices
    or paths that lead nowhere, absurd sizes, damaged archive members.
    """
    try:
        return _load(library, model)
    except ValueError as error:
        raise ValueError(f"{model.id}: {error}") from error


def _load(library: ModelLibrary, model: Model) -> Mesh:
    obj = parse_obj(library.read(model.catalogue, model.path).decode("latin-1"))
    warnings: list[str] = []
    materials = _read_materials(library, model, obj, warnings)
    surface = _surface(library, model, materials, warnings)
    linear = _placement(obj, model)
    used = np.unique(obj.corners[:, :, 0])
    positions = obj.positions @ linear.T
    low, high = positions[used].min(0), positions[used].max(0)
    scale = 2 / np.linalg.norm(high - low)
    positions = (positions - [(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2]) * scale
    triangles = positions[obj.corners[:, :, 0]]
    face_normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    solid = np.linalg.norm(face_normals, axis=1) > 1e-12
    if not solid.any():
        raise ValueError("all its faces are degenerate")
    normals = _corner_normals(obj, triangles, face_normals, linear)
    texcoords = np.zeros((*obj.corners.shape[:2], 2))
    has_texcoord = obj.corners[:, :, 1] >= 0
    texcoords[has_texcoord] = obj.texcoords[obj.corners[:, :, 1][has_texcoord]]
    return Mesh(
        id=model.id,
        triangles=np.ascontiguousarray(triangles[solid], dtype=np.float32),
        normals=normals[solid].astype(np.float32),
        texcoords=texcoords[solid].astype(np.float32),
        materials=(obj.materials[solid] + 1).astype(np.int32),
        surface=surface,
        half=tuple(((high - low) * scale / 2).tolist()),
        warnings=tuple(warnings),
    )


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light (the display curve taken as a power of 2.2)."""
    return np.asarray(srgb) ** 2.2


def _placement(obj: ObjText, model: Model) -> np.ndarray:
    """The 3x3 matrix of the catalogue's rotation, then of the scaling to the catalogue's size (in metres)."""
    rotation = np.array(model.rotation)
    turned = obj.positions[np.unique(obj.corners[:, :, 0])] @ rotation.T
    sides = turned.max(0) - turned.min(0)
    if sides.max() <= 0 or sides.max() > 1e9:
        raise ValueError(f"its size is {sides.max():g}")
    wanted = np.array(model.size) / 100
    # A flat side cannot be stretched to the size that the catalogue gives it.
    scale = np.where(sides > 1e-6 * sides.max(), wanted / np.maximum(sides, 1e-12), 1.0)
    return scale[:, None] * rotation


def _corner_normals(
    obj: ObjText, triangles: np.ndarray, face_normals: np.ndarray, linear: np.ndarray
) -> np.ndarray:
    """Unit normals (F, 3, 3): the file's own where they are good, else smoothed or, at creases, flat."""
    flat = _unit(face_normals)
    normals = np.repeat(flat[:, None], 3, axis=1)
    own = (obj.corners[:, :, 2] >= 0).all(1)
    smooth = obj.smooth | own  # own normals mean a smooth surface, also where they are not used
    if smooth.any():
        normals[smooth] = _smoothed(triangles[smooth], face_normals[smooth], flat[smooth])
    if own.any():
        turned = _unit(obj.normals @ np.linalg.inv(linear))  # normals go with the inverse transpose
        given = turned[obj.corners[own, :, 2]]
        whole = (np.linalg.norm(given, axis=2) > 0.5).all(1)
        agreement = np.abs((given * flat[own, None]).sum(2)).mean(1)
        areas = np.linalg.norm(face_normals[own], axis=1)
        # Some files hold normals with exchanged axes: they are used only if they fit the faces on the whole.
        if areas.sum() > 0 and np.average(agreement, weights=areas) > GOOD_NORMALS:
            normals[np.flatnonzero(own)[whole]] = given[whole]
    return normals


def _smoothed(triangles: np.ndarray, face_normals: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Normals (F, 3, 3) averaged over the faces that meet at a point, except across creases."""
    scale = np.abs(triangles).max() + 1e-12
    grid = np.round(triangles.reshape(-1, 3) / scale * 5e5).astype(np.int64) + (1 << 20)
    _, vertex = np.unique((grid[:, 0] << 42) + (grid[:, 1] << 21) + grid[:, 2], return_inverse=True)
    sums = np.stack([np.bincount(vertex, np.repeat(face_normals[:, axis], 3)) for axis in range(3)], axis=1)
    areas = np.bincount(vertex, np.repeat(np.linalg.norm(face_normals, axis=1), 3))
    # Where front and back of a leaf are both modelled, their normals cancel: no average is meant there.
    sums[np.linalg.norm(sums, axis=1) < 0.1 * areas] = 0
    averaged = _unit(sums)[vertex].reshape(-1, 3, 3)
    soft = (averaged * flat[:, None]).sum(-1) > CREASE
    return np.where(soft[..., None], averaged, flat[:, None])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-20)


def _read_materials(library: ModelLibrary, model: Model, obj: ObjText, warnings: list[str]) -> list[Material]:
    """The default material, then those that the OBJ file names, in its order."""
    known: dict[str, Material] = {}
    for name in obj.libraries:
        path = posixpath.join(posixpath.dirname(model.path), name)
        try:
            known.update(parse_mtl(library.read(model.catalogue, path).decode("latin-1")))
        except ValueError as error:
            warnings.append(f"{model.id}: materials {name}: {error}")
    materials = [Material("default")]
    for name in obj.material_names:
        if name not in known:
            warnings.append(f"{model.id}: no material {name!r}")
        materials.append(known.get(name, Material(name)))
    return materials


def _surface(library: ModelLibrary, model: Model, materials: list[Material], warnings: list[str]) -> Surface:
    places: dict[tuple[str | None, str | None], tuple[int, int, int]] = {(None, None): (0, 0, 0)}
    pieces = [np.ones((1, 4), dtype=np.float32)]
    length = 1
    diffuse, casts = [], []
    for material in materials:
        key = (material.texture, material.opacity_texture)
        if key not in places:
            texels = _read_texture(library, model, *key, warnings)
            places[key] = (0, 0, 0) if texels is None else (length, *texels.shape[:2])
            if texels is not None:
                pieces.append(texels.reshape(-1, 4))
                length += len(pieces[-1])
        offset, height, width = places[key]
        colour = np.array(material.diffuse)
        if height:
            # The texture holds the colour: the material only tints it (exporters write any grey, even black).
            colour = colour / colour.max() if colour.max() > 0.05 else np.ones(3)
        mean_opacity = 1.0
        if height:
            area = height * width
            mean_opacity = float(np.concatenate(pieces[1:])[offset - 1 : offset - 1 + area, 3].mean())
        diffuse.append(to_linear(colour))
        casts.append(material.opacity * mean_opacity > 0.6)
    return Surface(
        diffuse=np.array(diffuse, dtype=np.float32),
        specular=to_linear(np.array([m.specular for m in materials])).astype(np.float32),
        shininess=np.array([m.shininess for m in materials], dtype=np.float32),
        opacity=np.array([m.opacity for m in materials], dtype=np.float32),
        texture=np.array([places[m.texture, m.opacity_texture] for m in materials], dtype=np.int64),
        texels=np.concatenate(pieces),
        casts=np.array(casts),
    )


def _read_texture(
    library: ModelLibrary, model: Model, colour: str | None, opacity: str | None, warnings: list[str]
) -> np.ndarray | None:
    """Texels float32 (H, W, 4) of a colour and an opacity texture; None if neither can be read."""
    image = _open_texture(library, model, colour, warnings)
    mask = None if opacity in (None, colour) else _open_texture(library, model, opacity, warnings)
    if image is None and mask is None:
        return None
    if image is None:
        texels = np.ones((mask.height, mask.width, 4), dtype=np.float32)
    else:
        texels = np.asarray(image, dtype=np.float32) / 255
    texels[..., :3] = to_linear(texels[..., :3])
    if mask is not None:
        resized = np.asarray(mask.resize((texels.shape[1], texels.shape[0])), dtype=np.float32) / 255
        holes = resized[..., 3] if resized[..., 3].min() < 1 else resized[..., :3].mean(-1)
        texels[..., 3] = np.minimum(texels[..., 3], holes)
    return texels


def _open_texture(library: ModelLibrary, model: Model, name: str | None, warnings: list[str]) -> Image | None:
    """A texture as an RGBA image, reduced to TEXTURE_SIZE; None, with a warning, if it cannot be read."""
    from PIL import Image, UnidentifiedImageError

    if name is None:
        return None
    # Options such as "-s 1 1 1" may stand before the name; foreign absolute paths are cut to the file's name.
    bare = name.replace("\\", "/").rpartition("/")[2]
    candidates = [name.replace("\\", "/"), bare, bare.split()[-1] if bare.split() else bare]
    problem: Exception = ValueError("no such file")
    for candidate in dict.fromkeys(candidates):
        try:
            path = safe_path(posixpath.join(posixpath.dirname(model.path), candidate))
            image = Image.open(io.BytesIO(library.read(model.catalogue, path)))
            if image.width * image.height > MAX_TEXTURE_PIXELS:
                raise ValueError(f"it claims {image.width} x {image.height} pixels")
            image.draft("RGB", (2 * TEXTURE_SIZE, 2 * TEXTURE_SIZE))
            image = image.convert("RGBA")
        except (
            ValueError,
            OSError,
            UnidentifiedImageError,
            Image.DecompressionBombError,
            SyntaxError,
        ) as error:
            problem = error
            continue
        width, height = (min(side, TEXTURE_SIZE) for side in image.size)
        return image if (width, height) == image.size else image.resize((width, height), Image.Resampling.BOX)
    warnings.append(f"{model.id}: texture {name!r} is left out: {problem}")
    return None


def _embree_scene(triangles: np.ndarray) -> Any:
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(triangles))
    return scene
