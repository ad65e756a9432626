"""The stages, and what runs them. Byte code goes to ``.cache/``, not beside the code that stages depend on.

A folder of code with byte code in it would look changed to DVC, which heeds no .dvcignore outside a run's
folder. The checkout's folder is where networks of the user's own are found (``weights: "python:…"``).
"""

import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
sys.pycache_prefix = sys.pycache_prefix or str(_CHECKOUT / ".cache" / "pycache")
if str(_CHECKOUT) not in sys.path:
    sys.path.append(str(_CHECKOUT))
