"""Every cell of the tutorial runs, in order, without a network."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.ipynb"


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)
    found: dict = {}
    for cell in json.loads(TUTORIAL.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), found)
    clean = found["scores"].set_index("metric").loc["clean/accuracy"]
    assert clean["value"] > 0.8
    by_epsilon = found["by_epsilon"].groupby("epsilon")["robust"].mean()
    assert by_epsilon.is_monotonic_decreasing
    assert by_epsilon.iloc[-1] < by_epsilon.iloc[0]
    assert len(plt.get_fignums()) == 2
    plt.close("all")
