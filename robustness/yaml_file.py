"""Read a YAML file of settings as DVC reads it; whatever is wrong with it is one line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from robustness.errors import UserError

LARGEST = 1_000_000
"""Settings with as many values, aliases written out, are refused."""


def read_yaml(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file; no code in it is run.

    Raises UserError for a file that is missing or cannot be read, for broken YAML, for a key that stands
    twice (one merged in by ``<<`` may be replaced), and for anything but a mapping.
    """
    try:
        text, reader = path.read_text(encoding="utf-8"), YAML(typ="safe", pure=True)
        _check_keys(reader.compose(text), path)
        values = reader.load(text)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run in the folder that holds it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); it must be a text file in UTF-8") from error
    except DuplicateKeyError as error:
        raise UserError(f"{path}: a key stands twice{error.problem_mark}; leave one out") from error
    except YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error}); mend that line") from error
    except (TypeError, ValueError) as error:  # a list as a key, a date such as 2026-99-99, an endless number
        raise UserError(f"{path}: a value cannot be read ({error}); mend it or put it in quotes") from error
    except RecursionError:
        raise UserError(f"{path}: nested too deeply for settings; mend the brackets") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold a mapping (key: value); profiles/ has examples")
    _check_size(values, path)
    return values


def _check_keys(root: Node | None, path: Path) -> None:
    """Beside a merge (``<<``) ruamel.yaml takes a key that stands twice for one that is replaced."""
    seen, left = set(), [root]
    while left:
        node = left.pop()
        if id(node) in seen or not isinstance(node, CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            keys = Counter(key.value for key, _ in node.value if isinstance(key, ScalarNode))
            for key in keys:
                if keys[key] > 1:
                    raise UserError(f"{path}: the key {key!r} stands twice{node.start_mark}; leave one out")
            left += [part for pair in node.value for part in pair]
        else:
            left += node.value


def _check_size(value: Any, path: Path) -> None:
    """Aliases let a short file stand for a huge tree, or for one that holds itself: neither is settings."""
    sizes: dict[int, int] = {}

    def size(part: Any) -> int:
        if not isinstance(part, (dict, list)):
            return 1
        if id(part) not in sizes:
            sizes[id(part)] = LARGEST  # until it is counted: a tree that holds itself meets this
            sizes[id(part)] = 1 + sum(map(size, part.values() if isinstance(part, dict) else part))
        return min(sizes[id(part)], LARGEST)

    if size(value) >= LARGEST:
        raise UserError(f"{path}: its aliases stand for more than {LARGEST} values; write them out")
