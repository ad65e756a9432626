"""Read a YAML file of settings; whatever is wrong with it is one line."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from robustness.errors import UserError

LARGEST = 1_000_000
"""Settings with as many values, aliases written out, are refused."""


def read_yaml(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file; no code in it is run.

    Raises UserError for a file that is missing or cannot be read, for broken YAML, for a key that stands
    twice, and for anything but a mapping.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run in the folder that holds it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); it must be a text file in UTF-8") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error}); mend that line") from error
    except ValueError as error:  # a date such as 2026-99-99, a number of thousands of digits
        raise UserError(f"{path}: a value cannot be read ({error}); mend it or put it in quotes") from error
    except RecursionError:
        raise UserError(f"{path}: nested too deeply for settings; mend the brackets") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold a mapping (key: value); profiles/ has examples")
    _check_size(values, path)
    return values


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


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: PyYAML alone keeps the last and says nothing.

    A key may replace one that the mapping merges in (``<<: *anchor``).
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._checked: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # Before the first merge, after which merged keys stand beside those that replace them.
        if id(node) not in self._checked:
            self._checked.add(id(node))
            self._check(node)
        super().flatten_mapping(node)

    def _check(self, node: yaml.MappingNode) -> None:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            merges = key_node.tag == "tag:yaml.org,2002:merge"
            key = "<<" if merges else self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                wrong = f"the key {key!r} stands twice" if isinstance(key, Hashable) else "a key is no text"
                raise yaml.constructor.ConstructorError(
                    None, None, f"{wrong} in one mapping", key_node.start_mark
                )
            seen.add(key)
