"""The wheel holds all that the library needs, and gives the command ``robustness``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "robustness", "pipeline")


def test_a_wheel_is_built_and_imported_from_elsewhere(tmp_path: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", ".", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([*pip, *build], cwd=source, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    names = [str(path.relative_to(site)) for path in site.rglob("*")]
    for kept in (ROOT / "robustness").rglob("*"):
        if kept.is_file() and "__pycache__" not in kept.parts:
            assert str(kept.relative_to(ROOT)) in names
    code = (
        "import robustness, robustness.report.build, pipeline.command_line as c; "
        "print(robustness.__file__); c.main(['list', 'models'])"
    )
    where = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(site)}}
    ran = subprocess.run([sys.executable, "-c", code], check=True, text=True, capture_output=True, **where)
    found = ran.stdout
    assert found.startswith(str(site))
    assert "neocognitron,neocognitron,1979" in found
