"""YAML files read strictly into dataclasses.

A dataclass states what a file may hold: its fields, their types and ranges (pydantic reads them
from the annotations). Every refusal is one line that names the file, the field, what was expected
and what was got.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import yaml

from common.checks import brief
from common.files import read_file

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")

MOST_BYTES = 2**20
"""Of a YAML file: a bank's has some kilobytes, and YAML is slow to read."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Takes what `yaml.safe_load` takes; the one in C, where there is one, is ten times as fast."""

WORDS = {
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
    "a valid ": "a ",
    "a integer": "a whole number",
    "a tuple": "a list",
    "a string": "text",
    "a dictionary": "a mapping",
}
"""pydantic's words, and ours for readers who do not know Python."""


def read_document(path: Path, shape: type[T]) -> T:
    """The content of a YAML file as a `shape`. ValueError where it does not fit."""
    return fit(str(path), read_yaml(path), shape)


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; None if it is empty. ValueError if it cannot be read."""
    try:
        text = read_file(path, MOST_BYTES).decode()
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: cannot be read ({error})") from None
    return parsed_yaml(str(path), text)


def parsed_yaml(where: str, text: str) -> Any:
    """What YAML text holds. ValueError, in one line that begins with where, if it is none."""
    try:
        return yaml.load(text, LOADER)
    except Exception as error:  # PyYAML lets many kinds escape where a tag belies its value
        raise ValueError(f"{where}: not valid YAML ({_reason(error)})") from None


def fit(where: str, content: Any, shape: type[T]) -> T:
    """content, checked and made into a `shape`. ValueError, in one line that begins with where.

    Fields in the message are named as in the file: `where: knobs: brightness: expected ...`.
    """
    try:
        return checked(content, shape)
    except Unfit as error:
        raise ValueError(": ".join([where, *error.place, error.complaint])) from None


class Unfit(ValueError):
    """What does not fit a shape. place: the field's name, and names or numbers inside it;
    complaint: what was expected and what was got, in one line."""

    def __init__(self, place: Sequence[object], complaint: str) -> None:
        self.place, self.complaint = tuple(map(str, place)), complaint
        super().__init__(": ".join([*self.place, complaint]))


def checked(content: Any, shape: type[T]) -> T:
    """content made into a `shape`; raises `Unfit`."""
    from pydantic import ValidationError

    # A cache asks for something hashable, which every class is, but mypy denies it of type[T].
    key: type = shape
    try:
        return _adapter(key).validate_python(content)
    except ValidationError as error:
        raise _unfit(error.errors(include_url=False)[0], shape) from None


@functools.cache
def _adapter(shape: type) -> TypeAdapter[Any]:
    # Here and not above: pydantic takes a twentieth of a second to load.
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


def _unfit(error: ErrorDetails, shape: type) -> Unfit:
    """pydantic's first complaint, in our words."""
    kind, place, value = error["type"], list(error["loc"]), error["input"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden", "invalid_key"):
        name = place.pop()
        return Unfit(place, f"unknown key {brief(name)}{_allowed(place, shape)}")
    if kind == "missing":
        return Unfit(place[:-1], f"{place[-1]} is missing")
    if place and place[-1] == "[key]":
        place = place[:-2]
    return Unfit(place, f"expected {_expected(error)}, got {brief(value)}")


def _allowed(place: Sequence[object], shape: object) -> str:
    """The keys of the dataclass that is meant at a place inside a shape; "" if it is none."""
    for name in place:
        shape = _field(shape, str(name))
    names = getattr(shape, "__dataclass_fields__", None)
    return f"; allowed are {', '.join(names)}" if names else ""


def _field(shape: object, name: str) -> object:
    """The dataclass that a dataclass's field holds, alone or as an alternative to None."""
    if not isinstance(shape, type) or not is_dataclass(shape):
        return None
    hint = get_type_hints(shape).get(name)
    return next((kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)), None)


def _expected(error: ErrorDetails) -> str:
    """What would have fitted: pydantic says "Input should be a valid number"."""
    text = error["msg"]
    for opening in ("Input should be ", "Value error, ", "Assertion failed, "):
        text = text.removeprefix(opening)
    for theirs, ours in WORDS.items():
        text = text.replace(theirs, ours)
    return text.partition(" or an instance of")[0].partition(", unable to parse")[0]


def _reason(error: Exception) -> str:
    """What is wrong, and in which line if the parser knows, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return (str(error).splitlines() or [type(error).__name__])[0]
