"""What a probe is given beside clean images: the same scenes under a condition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from robustness.data.image_set import ImageSet
from robustness.probes.looking import _pairs


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
