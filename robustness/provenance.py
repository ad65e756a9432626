"""What a result belongs to: the state of the code and of dvc.lock."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path


def provenance(checkout: Path, lock: Path) -> dict[str, str]:
    """The commit of the code in a checkout, and the SHA-256 of the file that records a run, if any."""
    found = {"git_commit": _git(checkout, "rev-parse", "HEAD") or "unknown"}
    if _git(checkout, "status", "--porcelain", "--untracked-files=no", "--", "robustness", "pipeline"):
        found["git_commit"] += " with changes"
    if lock.is_file():
        found["dvc_lock"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    return found


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
