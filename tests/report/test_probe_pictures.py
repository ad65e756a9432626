"""What the probe pictures do to values on their way to the eye, and that they are the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robustness.report import pictures
from robustness.report.inputs import ReportInputs
from robustness.report.probes.canvas import DPI, sheet, shown


def _sparse() -> np.ndarray:
    """A deconvnet projection in small: one pixel of 10, a hundred of ±1, the rest 0; (1, 3, 64, 64)."""
    pixels = np.zeros(3 * 64 * 64)
    pixels[0] = 10.0
    pixels[1:101], pixels[101:201] = 1.0, -1.0
    return pixels.reshape(1, 3, 64, 64)


def test_one_strong_pixel_leaves_the_others_their_contrast() -> None:
    faint = shown(_sparse(), centre=0.0).transpose(0, 3, 1, 2).ravel()
    strong = shown(_sparse(), centre=0.0, quantile=0.99).transpose(0, 3, 1, 2).ravel()
    assert faint[1] == pytest.approx(0.55)
    np.testing.assert_allclose(strong[[0, 1, 101, 201]], [1.0, 1.0, 0.0, 0.5])


def test_a_picture_of_a_single_pixel_and_an_empty_one_are_shown_as_they_are() -> None:
    single = np.zeros((2, 1, 16, 16))
    single[0, 0, 3, 3] = -2.0
    pictures = shown(single, centre=0.0, quantile=0.99)
    np.testing.assert_array_equal(pictures[0, 3, 3], 0.0)
    assert (np.delete(pictures[0].reshape(-1, 3), 3 * 16 + 3, axis=0) == 0.5).all()
    assert (pictures[1] == 0.5).all()


def test_filters_keep_zero_at_mid_grey_and_their_largest_weight_at_full_contrast() -> None:
    weights = np.array([-3.0, 0.0, 1.5]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(shown(weights, centre=0.0)[0, 0, 0], [0.0, 0.5, 0.75])


def test_drawn_again_they_have_the_same_bytes(whole_inputs: ReportInputs, tmp_path: Path) -> None:
    results = next(iter(whole_inputs.pictures.values()))
    for again in ("one", "two"):
        (tmp_path / again).mkdir()
        for path in (results / "probe").glob("*.npz"):
            pictures.keep_probe(path.stem, pictures.read_arrays(path), tmp_path / again)
    drawn = [
        {path.name: path.read_bytes() for path in (tmp_path / again).iterdir() if path.suffix != ".npz"}
        for again in ("one", "two")
    ]
    stems = {"filters", "filters_fit", "tuning", "embedding", "embedding_placed", "ascent", "inversion",
             "similarity"}  # fmt: skip
    assert {Path(name).stem for name in drawn[0]} == stems
    assert drawn[0] == drawn[1]


def test_a_tile_stands_upright_in_its_place(tmp_path: Path) -> None:
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 0, 0]]], np.uint8)
    with sheet(tmp_path / "sheet.png", 1, 2, width=1.0, head=0.2) as made:
        made.image(0, 1, corners)
        made.image(0, 0, np.array([[0.0, 1.0]]), "gray")
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    height, side = len(pixels), round(0.46 * DPI)  # 2 tiles, a gap and two margins are an inch
    left, top = DPI - round(0.02 * DPI) - side, height - round(0.02 * DPI) - side
    quarters = [[pixels[top + y * side // 4, left + x * side // 4].tolist() for x in (1, 3)] for y in (1, 3)]
    assert quarters == corners.tolist()
    row = pixels[top + side // 2, round(0.02 * DPI) :]  # half as high as wide
    assert row[side // 4].tolist() == [0, 0, 0]
    assert row[3 * side // 4].tolist() == [255, 255, 255]
    assert (pixels[: round(0.2 * DPI)] == 255).all()
