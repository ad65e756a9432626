"""The stages, and what runs them. Byte code goes to ``.cache/``, not beside the code that stages depend on.

A folder of code with byte code in it would look changed to DVC, which heeds no .dvcignore outside a run's
folder.
"""

import sys
from pathlib import Path

sys.pycache_prefix = sys.pycache_prefix or str(Path(__file__).resolve().parents[1] / ".cache" / "pycache")
