"""What a result belongs to: the state of the code and of dvc.lock."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from pipeline.files import SOURCE


def provenance() -> dict[str, str]:
    """The commit of the code, and the SHA-256 of dvc.lock if there is one."""
    found = {"git_commit": _git("rev-parse", "HEAD") or "unknown"}
    if _git("status", "--porcelain", "--untracked-files=no", "--", "robustness", "pipeline"):
        found["git_commit"] += " with changes"
    lock = Path("dvc.lock")
    if lock.is_file():
        found["dvc_lock"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    return found


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=SOURCE, capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
