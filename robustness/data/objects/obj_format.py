"""Reads Wavefront OBJ and MTL text into arrays: triangles with corners' normals and texture coordinates.

Kept beside trimesh's reader, which of 164 models of the library covers another area for 21 (concave polygons
as fans), drops the smoothing groups of 98 and takes 1.6 times as long: ``benchmarks/results/obj_speed.json``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np

MAX_ELEMENTS = 4_000_000
"""More vertices or face corners than this are refused."""


@dataclass
class Material:
    """What a MTL file says of a material; colours are RGB in [0, 1] as written (sRGB)."""

    name: str
    diffuse: tuple[float, float, float] = (0.8, 0.8, 0.8)
    specular: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shininess: float = 1.0
    opacity: float = 1.0
    texture: str | None = None
    opacity_texture: str | None = None


@dataclass
class ObjText:
    """The content of an OBJ file as triangles.

    ``positions`` (V, 3), ``normals`` (VN, 3), ``texcoords`` (VT, 2) are float64; ``corners`` int32 (F, 3, 3)
    holds for each corner the indices of position, texture coordinate and normal (-1: none); ``materials``
    int32 (F,) indexes ``material_names``; ``smooth`` bool (F,) tells whether a smoothing group was on.
    """

    positions: np.ndarray
    texcoords: np.ndarray
    normals: np.ndarray
    corners: np.ndarray
    materials: np.ndarray
    smooth: np.ndarray
    material_names: list[str]
    libraries: list[str] = field(default_factory=list)


def parse_obj(text: str) -> ObjText:
    """Parse OBJ text; lines and points are left out, polygons are cut into triangles.

    Raises ValueError if there are no faces, an index points nowhere, or a number is not finite.
    """
    positions_text: list[str] = []
    texcoords_text: list[str] = []
    normals_text: list[str] = []
    faces: list[str] = []
    counts: dict[int, tuple[int, int, int]] = {}
    runs: list[tuple[int, int, bool]] = []  # from this face on: material, smooth
    material_names: list[str] = []
    libraries: list[str] = []
    material, smooth = -1, False
    for line in text.replace("\r", "").replace("\\\n", " ").split("\n"):
        kind = line[:2]
        if kind == "v ":
            positions_text.append(line[2:])
        elif kind == "f ":
            if "-" in line:
                counts[len(faces)] = (len(positions_text), len(texcoords_text), len(normals_text))
            faces.append(line[2:])
        elif kind == "vt":
            texcoords_text.append(line[3:])
        elif kind == "vn":
            normals_text.append(line[3:])
        elif kind and kind[0] not in "#":
            key, _, rest = line.strip().partition(" ")
            rest = rest.strip()
            if key == "usemtl":
                if rest not in material_names:
                    material_names.append(rest)
                material = material_names.index(rest)
            elif key == "s":
                smooth = rest not in ("off", "0")
            elif key == "mtllib":
                libraries.append(rest)
            elif key in ("v", "f", "vt", "vn"):
                raise ValueError(f"the line {line[:40]!r} is indented, which is not read")
            runs.append((len(faces), material, smooth))
    if not faces:
        raise ValueError("it has no faces")
    positions = _numbers(positions_text, 3)
    texcoords = _numbers(texcoords_text, 2)
    normals = _numbers(normals_text, 3)
    polygons, sizes = _face_indices(faces, counts)
    limits = np.array([len(positions), len(texcoords), len(normals)])
    if (polygons[:, 0] < 0).any() or (polygons >= limits).any():
        raise ValueError("a face names a vertex that is not there")
    corners, polygon_of = _triangulate(polygons, sizes, positions)
    if not len(corners):
        raise ValueError("it has no faces")
    run_of = np.searchsorted([start for start, _, _ in runs], polygon_of, side="right")
    return ObjText(
        positions,
        texcoords,
        normals,
        corners,
        np.array([-1, *(each for _, each, _ in runs)], dtype=np.int32)[run_of],
        np.array([False, *(each for _, _, each in runs)])[run_of],
        material_names,
        libraries,
    )


def parse_mtl(text: str) -> dict[str, Material]:
    """Parse MTL text into materials by name; unknown keys are left out."""
    materials: dict[str, Material] = {}
    current = Material("")
    for line in text.replace("\\\n", " ").splitlines():
        key, _, rest = line.strip().partition(" ")
        key, rest = key.lower(), rest.strip()
        try:
            if key == "newmtl":
                current = materials.setdefault(rest, Material(rest))
            elif key in ("kd", "ks"):
                colour = tuple(min(1.0, max(0.0, float(part))) for part in rest.split()[:3])
                if len(colour) == 3:
                    setattr(current, "diffuse" if key == "kd" else "specular", colour)
            elif key == "ns":
                current.shininess = min(1000.0, max(1.0, float(rest)))
            elif key == "d":
                current.opacity = min(1.0, max(0.0, float(rest.split()[-1])))
            elif key == "map_kd":
                current.texture = rest
            elif key == "map_d":
                current.opacity_texture = rest
        except (ValueError, IndexError) as error:
            raise ValueError(f"the material line {line.strip()!r} is wrong") from error
    return materials


def _numbers(lines: list[str], columns: int) -> np.ndarray:
    """The first ``columns`` numbers of each line, float64 (N, columns)."""
    if len(lines) > MAX_ELEMENTS:
        raise ValueError(f"it claims {len(lines)} vertices")
    if not lines:
        return np.zeros((0, columns))
    flat = _flat(" ".join(lines), np.float64)
    if flat.size != columns * len(lines):
        rows = [line.split()[:columns] for line in lines]
        flat = np.array([row + ["0"] * (columns - len(row)) for row in rows], dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        raise ValueError("a coordinate is not a finite number")
    return flat.reshape(len(lines), columns)


def _flat(text: str, kind: type) -> np.ndarray:
    """The numbers of a text, separated by spaces; ValueError where one is no number."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # older NumPy only warns
        try:
            return np.fromstring(text, dtype=kind, sep=" ")
        except (DeprecationWarning, ValueError) as error:
            raise ValueError("a coordinate or index is not a number") from error


def _face_indices(faces: list[str], counts: dict[int, tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Indices of all corners (N, 3: position, texture coordinate, normal; -1 none) and corners per polygon.

    ``counts`` holds, for faces with indices counted back from the end, what had been read before them.
    """
    faces = [face.strip() for face in faces]
    text = " ".join(faces)
    if "  " in text or "\t" in text:
        faces = [" ".join(face.split()) for face in faces]
        text = " ".join(faces)
    sizes = np.array([face.count(" ") + 1 for face in faces], dtype=np.int64)
    total = int(sizes.sum())
    if total > MAX_ELEMENTS:
        raise ValueError(f"it claims {total} face corners")
    parts = np.array([face.count("/") for face in faces], dtype=np.int64) / sizes + 1
    indices = np.zeros((total, 3), dtype=np.int64)
    for part in np.unique(parts):
        chosen = np.flatnonzero(parts == part)
        own = text if len(chosen) == len(faces) else " ".join([faces[index] for index in chosen])
        flat = _flat(own.replace("//", "/0/").replace("/", " "), np.int64)
        if part not in (1, 2, 3) or flat.size != part * sizes[chosen].sum():
            raise ValueError("a face's indices are not written alike")
        indices[np.repeat(parts == part, sizes), : int(part)] = flat.reshape(-1, int(part))
    if counts:
        so_far = np.zeros((len(faces), 3), dtype=np.int64)
        so_far[list(counts)] = list(counts.values())
        indices = np.where(indices < 0, np.repeat(so_far, sizes, axis=0) + indices + 1, indices)
    return indices - 1, sizes


def _triangulate(
    polygons: np.ndarray, sizes: np.ndarray, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (F, 3 corners, 3 indices) of polygons given by consecutive corners, and their polygon."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    pieces, owners = [], []
    for size in (3, 4):
        which = np.flatnonzero(sizes == size)
        corners = polygons[starts[which, None] + np.arange(size)]
        if size == 4:
            # Cut along the diagonal from corner 0, or from corner 1 where corner 1 or 3 would be folded over.
            points = positions[corners[:, :, 0]]
            fold = _folded(points, (0, 1, 2), (0, 2, 3))
            first = np.where(fold[:, None], [0, 1, 3], [0, 1, 2])
            second = np.where(fold[:, None], [1, 2, 3], [0, 2, 3])
            rows = np.arange(len(which))[:, None]
            pieces += [corners[rows, first], corners[rows, second]]
            owners += [which, which]
        else:
            pieces.append(corners)
            owners.append(which)
    for size in np.unique(sizes[sizes > 4]):
        which = np.flatnonzero(sizes == size)
        corners = polygons[starts[which, None] + np.arange(size)]
        points = positions[corners[:, :, 0]]
        convex = _convex(points)
        fan = np.stack(
            [np.zeros(size - 2, dtype=np.int64), np.arange(1, size - 1), np.arange(2, size)], axis=1
        )
        pieces.append(corners[convex][:, fan].reshape(-1, 3, 3))
        owners.append(which[convex].repeat(size - 2))
        for index in np.flatnonzero(~convex):
            ears = _clip_ears(points[index])
            pieces.append(corners[index][ears])
            owners.append(np.full(len(ears), which[index]))
    return np.concatenate(pieces).astype(np.int32), np.concatenate(owners)


def _folded(points: np.ndarray, first: tuple[int, int, int], second: tuple[int, int, int]) -> np.ndarray:
    """Whether two triangles of each quad (N, 4, 3) face opposite ways, as happens in a concave quad."""

    def normal(triangle: tuple[int, int, int]) -> np.ndarray:
        a, b, c = (points[:, corner] for corner in triangle)
        return np.cross(b - a, c - a)

    return (normal(first) * normal(second)).sum(1) < 0


def _convex(points: np.ndarray) -> np.ndarray:
    """Whether polygons (P, N, 3) turn the same way at every corner, so that a fan fills them."""
    edges = np.roll(points, -1, axis=1) - points
    turns = np.cross(edges, np.roll(edges, -1, axis=1))
    normal = np.cross(points - points[:, :1], np.roll(points, -1, axis=1) - points[:, :1]).sum(1)
    return ((turns * normal[:, None]).sum(2) >= 0).all(1)


def _clip_ears(points: np.ndarray) -> np.ndarray:
    """Triangles (T, 3) that fill a simple polygon (N, 3), by ear clipping in the plane of its normal."""
    after = np.roll(points, -1, axis=0)
    normal = np.cross(points, after).sum(0)  # Newell's formula: robust for slightly bent polygons
    drop = int(np.abs(normal).argmax())
    flat = np.delete(points, drop, axis=1).tolist()
    turn = -1.0 if (normal[drop] < 0) != (drop == 1) else 1.0

    def area(a: int, b: int, c: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = flat[a], flat[b], flat[c]
        return turn * ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))

    left = list(range(len(points)))
    triangles = []
    while len(left) > 3:
        for place in range(len(left)):
            a, b, c = left[place - 1], left[place], left[(place + 1) % len(left)]
            if area(a, b, c) <= 0:
                continue
            others = (p for p in left if p not in (a, b, c))
            if not any(area(a, b, p) > 0 and area(b, c, p) > 0 and area(c, a, p) > 0 for p in others):
                break
        else:
            place = 1  # degenerate: cut anyway, so that it ends
            a, b, c = left[0], left[1], left[2]
        triangles.append((a, b, c))
        del left[place]
    triangles.append(tuple(left))
    return np.array(triangles)
