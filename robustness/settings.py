"""What every group of settings is built on: declared once, by the code that they steer."""

from __future__ import annotations

import json
import math
import re
import reprlib
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from robustness.errors import UserError, nearest


class Settings(BaseModel):
    """A frozen group of settings: unknown keys are errors, values keep their types, fields have bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def read(cls, values: object) -> Self:
        """The settings of a mapping; raises UserError, one line with key, value and what is allowed."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _one_line(error, cls) from None

    def check(self) -> None:
        """What no bound of one field can say; raises UserError, its place counted from these settings."""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        try:
            self.check()
        except UserError as error:
            raise _RefusedError(error) from None
        return self


class _RefusedError(ValueError):
    """A UserError on its way through pydantic, which lets no other error keep the place that it collects."""

    def __init__(self, error: UserError) -> None:
        super().__init__(str(error))
        self.error = error


def _one_line(error: ValidationError, kind: type[Settings]) -> UserError:
    first = error.errors()[0]
    a_key = first["loc"][-1:] == ("[key]",)
    place = ".".join(str(part) for part in (first["loc"][:-2] if a_key else first["loc"]))
    if a_key and not isinstance(first["input"], str):
        kind_of_key = type(first["input"]).__name__
        return UserError(f"the key {first['input']!r} is read as {kind_of_key}, not as text; quote it", place)
    if first["type"] == "extra_forbidden":
        known = nearest(str(first["loc"][-1]), _fields_at(kind, first["loc"][:-1]))
        return UserError(f"unknown key; {known}", place)
    if first["type"] == "missing":
        return UserError("is missing; add it", place)
    refused = first.get("ctx", {}).get("error")
    if isinstance(refused, _RefusedError):
        refused = refused.error
        return UserError(refused.reason, ".".join(part for part in (place, refused.place) if part))
    reason = first["msg"].removeprefix("Value error, ")
    reason = re.sub("^Input should be (greater|less)", r"use a number \1", reason)
    reason = re.sub("^Input should (be|have)", "use", reason)
    return UserError(f"{reason} (found {short(first['input'])})", place)


def short(value: object) -> str:
    """The beginning of a value; never the whole of one that aliases have made huge."""
    text = reprlib.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(kind: type[Settings], place: tuple[int | str, ...]) -> list[str]:
    """The keys allowed at a place in the tree of settings."""
    for part in place:
        field = kind.model_fields.get(str(part))
        for candidate in (field.annotation, *getattr(field.annotation, "__args__", ())) if field else ():
            if isinstance(candidate, type) and issubclass(candidate, Settings):
                kind = candidate
    return list(kind.model_fields)


def check_types(settings: Mapping[str, Any], taker: Callable[..., Any]) -> None:
    """Raises UserError if a value has not the type that ``taker`` (a function or a class) says it takes.

    Numbers must be finite and, as everywhere in the library's settings, not negative.
    """
    typed = {key: text for key, text in taker.__annotations__.items() if key in settings}
    hints = get_type_hints(SimpleNamespace(__annotations__=typed), vars(sys.modules[taker.__module__]))
    for key, value in settings.items():
        if isinstance(value, (int, float)) and not 0 <= value < math.inf:
            raise UserError(f"{value} is out of range; use a finite number from 0", str(key))
        try:
            TypeAdapter(hints.get(key, Any)).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            wrong = error.errors()[0]["msg"]
            raise UserError(f"{wrong[0].lower()}{wrong[1:]} (found {short(value)})", str(key)) from None
        except (TypeError, ValueError) as error:  # JSON has no such value
            raise UserError(f"{error} (found {short(value)})", str(key)) from None
