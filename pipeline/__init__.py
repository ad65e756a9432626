"""The stages, and what runs them. Byte code goes to ``.cache/``, not beside the code that stages depend on.

A folder of code with byte code in it would look changed to DVC, which heeds no .dvcignore outside a run's
folder. The checkout's folder is where networks of the user's own are found (``weights: "python:…"``).
"""

import sys
from importlib.util import find_spec
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
# Where none is written, the packages' own must stay readable: else every process would compile them all.
if not sys.dont_write_bytecode:
    sys.pycache_prefix = sys.pycache_prefix or str(_CHECKOUT / ".cache" / "pycache")
if str(_CHECKOUT) not in sys.path:
    sys.path.append(str(_CHECKOUT))

# MadryLab's package has the import name robustness too, and may be found first.
_FOUND = find_spec("robustness")
_ORIGIN = (_FOUND.origin if _FOUND else None) or "not found"
if not Path(_ORIGIN).with_name("interface.py").is_file():
    print(f"error: the package robustness is another one than this project's ({_ORIGIN}); use an environment "
          "for each, or start in the checkout's folder", file=sys.stderr)  # fmt: skip
    raise SystemExit(2)
