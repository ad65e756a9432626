"""How fast the renderer is: against its floor, the bare casting of its first rays, and against Mitsuba 3.

``python -m benchmarks.renderer_speed [--library FOLDER] [--rounds N]``; one core, a few seconds. What counts
are the ratios of medians: they hold on other machines and beside other work, milliseconds do not.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
import trimesh
from threadpoolctl import threadpool_limits

from benchmarks.timing import Ratio, Row, write_record
from robustness.data.objects import fetch as library_fetch
from robustness.data.objects.library import ModelLibrary
from robustness.data.objects.mesh import Mesh, load_mesh
from robustness.data.objects.placement import backdrop_of, camera_of, light_of, place
from robustness.data.objects.renderer import KEY, SAMPLES, SKY, render
from robustness.data.objects.scene import FIELD_OF_VIEW, Camera
from robustness.data.objects.views import at_level, canonical

OBJECTS = (
    "BlendSwap-CC-0/oakChair",
    "Scopia/bed1",
    "Reallusion/male01",
    "BlendSwap-CC-BY/yuccaPlant",
    "Scopia/suv",
)
DISTRACTORS = ("BlendSwap-CC-0/basketball", "BlendSwap-CC-BY/suitcase", "Scopia/cone", "Scopia/dog-house")
SIZE = 64


def milliseconds(action: Callable[[], object], rounds: int) -> float:
    """The median time of the action, after one call that does not count."""
    action()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def bare_rays(mesh: Mesh, camera: Camera) -> Callable[[], object]:
    """Casts as many rays as an image has first rays, at the mesh alone, and shades nothing."""
    side = SIZE * SAMPLES
    steps = np.linspace(-0.27, 0.27, side)
    across, along = np.meshgrid(steps, steps)
    right, up, forward = camera.axes()
    directions = forward + across.reshape(-1, 1) * right + along.reshape(-1, 1) * up
    directions = np.ascontiguousarray(directions, dtype=np.float32)
    origins = np.ascontiguousarray(np.broadcast_to(camera.origin, directions.shape))
    return partial(mesh.scene.run, origins, directions, output=True)


def mitsuba(mesh: Mesh, camera: Camera) -> Callable[[], np.ndarray]:
    """Renders the mesh from the same place with as many rays in Mitsuba 3: its ``direct`` integrator under a
    sky and a key light, grey surfaces without texture on a ground. The image is float32 (SIZE, SIZE, 3)."""
    import drjit
    import mitsuba as mi

    drjit.set_thread_count(1)
    mi.set_variant("scalar_rgb")
    mi.set_log_level(mi.LogLevel.Error)
    target = np.asarray(camera.origin) + camera.axes()[2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mesh.ply"
        corners = mesh.triangles.reshape(-1, 3)
        trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False).export(path)
        grey = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.6}}
        scene = mi.load_dict({
            "type": "scene",
            "integrator": {"type": "direct"},
            "sensor": {
                "type": "perspective",
                "fov": FIELD_OF_VIEW,
                "to_world": mi.ScalarTransform4f().look_at(
                    camera.origin.tolist(), target.tolist(), [0.0, 1.0, 0.0]
                ),
                "film": {"type": "hdrfilm", "width": SIZE, "height": SIZE, "rfilter": {"type": "box"}},
                "sampler": {"type": "independent", "sample_count": SAMPLES**2},
            },
            "sky": {"type": "constant", "radiance": {"type": "rgb", "value": SKY}},
            "key": {
                "type": "directional",
                "direction": [-0.5, -1.0, -0.4],
                "irradiance": {"type": "rgb", "value": KEY},
            },
            "ground": {
                "type": "rectangle",
                "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], -90).scale(100),
                "bsdf": grey,
            },
            "mesh": {"type": "ply", "filename": str(path), "bsdf": {"type": "twosided", "own": grey}},
        })  # fmt: skip
    return lambda: np.array(mi.render(scene))


def main() -> None:
    """Measure every object and print a table with the medians over the objects."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=Path(".cache/library"))
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    threadpool_limits(1)
    library = ModelLibrary(library_fetch.fetch(options.library, say=print))
    mesh_of = cache(lambda name: load_mesh(library, library[name]))
    columns = ("bare rays", "image", "4 distractors", "Mitsuba")
    table = []
    print(f"{'milliseconds (median)':32}" + "".join(f"{name:>15}" for name in columns))
    for name in OBJECTS:
        mesh, clean = mesh_of(name), canonical(0, name)
        camera = camera_of(clean, mesh)
        row = [milliseconds(bare_rays(mesh, camera), options.rounds)]
        for view in (clean, at_level(clean, "clutter/distractors", 4)):

            def image(view=view, mesh=mesh) -> object:
                placed = place(view, mesh, lambda i: mesh_of(DISTRACTORS[i]), len(DISTRACTORS), 0)
                return render(placed, camera_of(view, mesh), light_of(view), backdrop_of(view, 0), SIZE)

            row.append(milliseconds(image, options.rounds))
        row.append(milliseconds(mitsuba(mesh, camera), options.rounds))
        table.append(row)
        print(f"{name:32}" + "".join(f"{value:15.2f}" for value in row))
    floor, image, clutter, peer = np.median(np.array(table), axis=0)
    images_per_second = {"alone": round(1e3 / image), "with four distractors": round(1e3 / clutter)}
    times, objects = np.array(table), f"{len(OBJECTS)} objects"
    rows = [
        Row(
            f"an image of {SIZE} pixels", objects, "its bare first rays", Ratio.of(times[:, 0] / times[:, 1])
        ),
        Row("an image with four distractors", objects, "without", Ratio.of(times[:, 1] / times[:, 2])),
        Row(
            f"an image of {SIZE} pixels",
            objects,
            "Mitsuba 3, direct light, no texture",
            Ratio.of(times[:, 3] / times[:, 1]),
        ),
    ]
    details = {"images/s of one core": images_per_second, "bare first rays, ms": round(floor, 2),
               "Mitsuba, ms": round(peer, 2)}  # fmt: skip
    write_record("renderer_speed", torch.device("cpu"), rows, details, rounds=options.rounds)
    print(*rows, details, sep="\n")


if __name__ == "__main__":
    main()
