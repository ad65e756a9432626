"""Made-up input: the readers give a result or refuse it in their own way, whatever they are fed.

A bounded, repeatable run; ``make fuzz`` runs longer (FUZZ_EXAMPLES). The input has the shape of the real one
with one thing wrong. A fuzzer guided by coverage (atheris) would start from random bytes, which rarely get
past the first line of these readers, and needs a compiler where it is installed.
"""

from __future__ import annotations

import copy
import io
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_run import BOX, PARAMS

from pipeline.check import RunSettings, check
from robustness.data.objects.library import CATALOGUE, ModelLibrary
from robustness.data.objects.mesh import load_mesh
from robustness.data.objects.obj_format import parse_mtl, parse_obj
from robustness.data.on_disk import smallnorb
from robustness.data.on_disk.smallnorb import PACKED, TYPES
from robustness.errors import UserError
from tests.data import photo_folders

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
BOUNDED = settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=6,
)


def places(tree: Any, way: tuple = ()) -> list[tuple]:
    """The way to every key of a tree of settings."""
    found = []
    for key in tree if isinstance(tree, dict) else ():
        found += [(*way, key), *places(tree[key], (*way, key))]
    return found


def read(text: str) -> RunSettings | None:
    """params.yaml with that text, or None where it is refused in one line that names the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            return check(path)
        except UserError as error:
            assert "params.yaml" in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
            return None


@BOUNDED
@given(way=st.sampled_from(places(PARAMS)), value=VALUES)
def test_settings_with_one_value_made_up(way: tuple, value: Any) -> None:
    params = copy.deepcopy(PARAMS)
    place = params
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = value
    found = read(yaml.safe_dump(params))
    assert found is None or isinstance(found, RunSettings)


@BOUNDED
@given(text=st.text(st.sampled_from(list("ab:-[]{}&*!?|>'\"#%@`,\n\t 0123456789.eE~<_")), max_size=60))
@example("? [1]\n: 2")
@example("a: 2026-99-99")
@example("&a [*a]")
def test_texts_that_look_like_yaml(text: str) -> None:
    assert read(text) is None


LINES = st.lists(
    st.tuples(
        st.sampled_from(
            ["v", "vt", "vn", "f", "usemtl", "mtllib", "s", "g", "#", "newmtl", "Kd", "Ns", "d", "map_Kd"]
        ),
        st.lists(
            st.integers(-9, 12).map(str)
            | st.floats().map(str)
            | st.sampled_from(
                ["1/2", "1//2", "1/2/3", "/", "1e999", "99999999999999999999", "off", "a b", "\\"]
            ),
            max_size=6,
        ),
    ).map(lambda line: " ".join([line[0], *line[1]])),
    max_size=8,
).map("\n".join)


@BOUNDED
@given(text=LINES | st.text(max_size=40), after=st.booleans())
@example("f 1 2 99999999999999999999", True)
def test_objects(text: str, after: bool) -> None:
    try:
        found = parse_obj(BOX + text if after else text + "\n" + BOX)
    except ValueError:
        return
    assert len(found.corners) > 0
    assert np.isfinite(found.positions).all()
    assert found.corners[:, :, 0].min() >= 0
    for part, values in enumerate((found.positions, found.texcoords, found.normals)):
        assert (found.corners[:, :, part] < max(1, len(values))).all()
    assert len(found.materials) == len(found.smooth) == len(found.corners)
    assert found.materials.max() < len(found.material_names)


@BOUNDED
@given(text=LINES | st.text(max_size=40))
def test_materials(text: str) -> None:
    try:
        found = parse_mtl(text)
    except ValueError:
        return
    for material in found.values():
        assert 0 <= material.opacity <= 1
        assert 1 <= material.shininess <= 1000
        assert all(0 <= part <= 1 for part in (*material.diffuse, *material.specular))


ENTRY = {"id": "a#b", "name": "B", "model": "/b/b.obj", "width": "10", "height": "20", "depth": "30"}


@BOUNDED
@given(
    key=st.sampled_from([*ENTRY, "modelRotation", "elevation", "creator"]),
    value=st.text(max_size=12)
    | st.floats().map(str)
    | st.lists(st.floats().map(str), min_size=9, max_size=9).map(" ".join),
    obj=st.just(BOX) | LINES.map(lambda text: BOX + text),
    mtl=LINES,
    flip=st.none() | st.tuples(st.integers(0, 10**6), st.integers(1, 255)),
)
def test_libraries(key: str, value: str, obj: str, mtl: str, flip: tuple[int, int] | None) -> None:
    """An entry with a value made up, files made up, and a byte of the archive flipped."""
    buffer = io.BytesIO()
    lines = "".join(f"{word}#1={each}\n" for word, each in (ENTRY | {key: value}).items())
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((CATALOGUE, lines), ("b/b.obj", obj), ("b/box.mtl", mtl)):
            archive.writestr(name, content.encode("utf-8", "surrogatepass"))
    data = bytearray(buffer.getvalue())
    if flip is not None:
        data[flip[0] % len(data)] ^= flip[1]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Small.sh3f").write_bytes(data)
        try:
            library = ModelLibrary(folder)
        except UserError as error:
            assert "Small.sh3f" in str(error)  # noqa: PT017
            return
        for model in library.models.values():
            try:
                mesh = load_mesh(library, model)
            except ValueError as error:
                assert str(error).startswith(model.id)  # noqa: PT017
                continue
            assert np.isfinite(mesh.triangles).all()
            assert np.isfinite(mesh.normals).all()
        library.close()


SIZES = st.integers(-2, 20) | st.sampled_from([2**16, 2**30, 2**31 - 1, -(2**31)])


@BOUNDED
@given(
    stem=st.sampled_from(["training", "testing"]),
    part=st.sampled_from(["dat", "cat", "info"]),
    magic=st.sampled_from([*TYPES, PACKED, 0]),
    dimensions=st.integers(-1, 5) | st.just(2**31 - 1),
    sizes=st.lists(SIZES, max_size=5),
    data=st.binary(max_size=64),
    keep=st.booleans(),
)
@example("training", "cat", 0x1E3D4C55, 3, [2**30, 2**30, 2**4], b"", False)  # 2^64 bytes: 0 in 64 bits
@example("training", "cat", 0x1E3D4C55, 2, [-1, -4], b"abcd", False)
@example("training", "cat", 0x1E3D4C55, 1, [90, 1, 1], b"\x07" * 90, False)  # a class that there is not
@example("testing", "info", 0x1E3D4C54, 1, [90, 1, 1], b"\0" * 360, False)  # one column
def test_smallnorb(
    stem: str, part: str, magic: int, dimensions: int, sizes: list[int], data: bytes, keep: bool
) -> None:
    """One of the six files made up; with ``keep``, only the header, before the data of the real one."""
    with tempfile.TemporaryDirectory() as folder:
        root = photo_folders.smallnorb(Path(folder))
        (path,) = root.glob(f"*{stem}-{part}.mat")
        header = np.array([magic, dimensions, *sizes], np.int64).astype("<i4").tobytes()
        path.write_bytes(header + (path.read_bytes()[20:] if keep else data))
        try:
            found = smallnorb.listing(root)
        except UserError as error:
            assert "data.path" in str(error)  # noqa: PT017
            return
        assert found.samples["label"].between(0, 4).all()
        assert found.array[len(found.samples) - 1].dtype == np.uint8
