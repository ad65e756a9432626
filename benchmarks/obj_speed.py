"""Whether trimesh's OBJ reader could replace ours: the same triangles of every listed model, and the time.

``python -m benchmarks.obj_speed [--library FOLDER] [--every N]``; one core, some minutes for all models.
Writes ``results/obj_speed.json``: for how many models trimesh covers another area (it cuts every polygon as a
fan, concave ones too), fails, or drops smoothing groups (``s``) from which normals are computed where a file
has none; and the ratio of times.
"""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

import numpy as np
import torch
import trimesh

from benchmarks.timing import Ratio, Row, seconds, write_record
from robustness.data.objects import fetch as library_fetch
from robustness.data.objects.library import ModelLibrary
from robustness.data.objects.obj_format import ObjText, parse_obj

CPU = torch.device("cpu")
SMOOTH = re.compile(r"^s (?!off|0)\S", re.MULTILINE)


def area(triangles: np.ndarray) -> float:
    """The area of triangles (F, 3, 3)."""
    edges = triangles[:, 1:] - triangles[:, :1]
    return float(np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1).sum() / 2)


def main() -> None:
    """Compare both readers on the library's models and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=Path(".cache/library"))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="read every N-th model only")
    options = parser.parse_args()
    library = ModelLibrary(library_fetch.fetch(options.library, say=print))
    names = sorted(library.models)[:: options.every]
    found = {"models": len(names), "other_area": 0, "fails": 0, "smoothing_groups_without_normals": 0}
    ratios = []
    for name in names:
        model = library[name]
        text = library.read(model.catalogue, model.path).decode("latin-1")
        ours: list[ObjText] = []
        theirs: list[trimesh.Scene] = []

        def read(text: str = text, theirs: list = theirs) -> None:
            theirs.append(trimesh.load_scene(io.StringIO(text), file_type="obj", process=False))

        try:
            own = seconds(lambda text=text, ours=ours: ours.append(parse_obj(text)), CPU)
        except ValueError:  # the benchmark leaves such a model out
            found["models"] -= 1
            continue
        found["smoothing_groups_without_normals"] += bool(SMOOTH.search(text)) and not len(ours[0].normals)
        try:
            ratios.append(seconds(read, CPU) / own)
        except Exception:  # whatever it is: the model could not be read
            found["fails"] += 1
            continue
        expected = area(ours[0].positions[ours[0].corners[:, :, 0]])
        reached = sum(area(part.triangles) for part in theirs[0].geometry.values())
        found["other_area"] += abs(reached - expected) > 1e-3 * expected
    row = Row("reading OBJ", f"{found['models']} models", "trimesh", Ratio.of(ratios))
    write_record("obj_speed", CPU, [row], found, trimesh=trimesh.__version__, every=options.every)
    print(row, found, sep="\n")


if __name__ == "__main__":
    main()
