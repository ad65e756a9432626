"""What a probe is given beside clean images: the same scenes under a condition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from robustness.data.image_set import ImageSet
from robustness.probes.looking import _pairs, _scenes


def test_clean_and_shifted_images_of_one_scene_are_paired(tmp_path: Path) -> None:
    """Every pixel says which object and scene it is of; shifted images are lighter by 100."""
    rows = [
        ("test", f"object{number}", scene, shift)
        for shift in ("pose", "clean")
        for number in (3, 1, 2, 0)
        for scene in (0, 1)
        if (number, scene, shift) != (2, 1, "pose")
    ]
    samples = pd.DataFrame(rows, columns=["split", "object", "scene", "shift"])
    is_pose = samples["shift"] == "pose"
    samples["role"], samples["label"] = "test", 0
    samples["factor"] = np.where(is_pose, "azimuth", "none")
    samples["level"] = np.where(is_pose, "90", "0")
    value = 10 * samples["object"].str[-1].astype(int) + samples["scene"] + 100 * is_pose
    with ImageSet.create(tmp_path / "set", len(samples), 8, ["thing"], masks=False) as writer:
        writer.images[:] = value.to_numpy(np.uint8)[:, None, None, None]
        images = writer.finish(samples)
    clean = images.rows(shift="clean")[1:]
    places, shifted = _pairs("pose/azimuth/90", images, clean, torch.device("cpu"))
    assert len(places) == len(clean) - 1  # one scene was not rendered under the condition
    before = images.batch(clean)[places, 0, 0, 0] * 255
    torch.testing.assert_close(shifted[:, 0, 0, 0] * 255, before + 100)


def test_scenes_with_distractors_come_with_the_same_scenes_without(tmp_path: Path) -> None:
    """Objects of three scenes; a cluttered image's mask and its clean twin's pixels tell which it is."""
    rows = [("clean", f"object{n}", scene) for n in range(4) for scene in (2, 0, 1)]
    rows += [("clutter", f"object{n}", scene) for n in (2, 0, 3, 1) for scene in (0, 1, 3)]
    samples = pd.DataFrame(rows, columns=["shift", "object", "scene"])
    samples = samples.assign(split="test", role="test", label=0, factor="none", level="0")
    cluttered = samples["shift"] == "clutter"
    samples.loc[cluttered, ["factor", "level"]] = ["distractors", "8"]
    value = (10 * samples["object"].str[-1].astype(int) + samples["scene"]).to_numpy(np.uint8)
    with ImageSet.create(tmp_path / "set", len(samples), 8, ["thing"]) as writer:
        writer.images[:] = (value + 100 * cluttered.to_numpy(np.uint8))[:, None, None, None]
        writer.masks[:] = value[:, None, None]
        images = writer.finish(samples)
    found = _scenes("clutter/distractors/8", images, 12, 1, torch.device("cpu"))
    assert len(found.images) == 8  # scene 3 was not rendered clean
    torch.testing.assert_close(found.twins[:, 0, 0, 0] * 255, found.masks[:, 0, 0].float())
    torch.testing.assert_close(found.images - found.twins, torch.full_like(found.twins, 100 / 255))
