"""YAML files read strictly: every complaint names the file, the field, the value and what fits."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from reprlib import Repr
from typing import Any

import yaml

_BRIEF = Repr()
# A few lines of YAML aliases can unfold into gigabytes of text.
_BRIEF.maxlevel = 2


def read_mapping(path: Path, allowed: Iterable[str], needed: Iterable[str]) -> dict[str, Any]:
    """The top-level mapping of a YAML file. Raises ValueError in one line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from None
    try:
        content = yaml.safe_load(text)
    except Exception as error:  # PyYAML lets many kinds escape where a tag belies its value
        raise ValueError(f"{path}: not valid YAML ({_reason(error)})") from None
    return check_mapping(str(path), content, allowed, needed)


def check_mapping(
    where: str, content: Any, allowed: Iterable[str], needed: Iterable[str]
) -> dict[str, Any]:
    """content, if it is a mapping of allowed keys that has the needed ones."""
    allowed = list(allowed)
    fitting = ", ".join(allowed) or "none"
    if not isinstance(content, dict):
        raise ValueError(f"{where} is {_BRIEF.repr(content)}, but must be a mapping of {fitting}")
    unknown = [key for key in content if key not in allowed]
    if unknown:
        raise ValueError(f"{where}: unknown key {_BRIEF.repr(unknown[0])}; allowed are {fitting}")
    missing = [key for key in needed if key not in content]
    if missing:
        raise ValueError(f"{where}: {missing[0]} is missing")
    return content


def any_mapping(where: str, content: Any) -> dict[Any, Any]:
    """content, if it is a mapping, whatever its keys; nothing at all counts as empty."""
    if content is not None and not isinstance(content, dict):
        raise ValueError(f"{where} is {_BRIEF.repr(content)}, but must be a mapping")
    return content or {}


def number(where: str, value: Any, low: float, high: float) -> float:
    """value as a float, if it is a finite number from low to high."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not low <= value <= high:
        fitting = f"a number from {low:g} to {high:g}"
        raise ValueError(f"{where} is {_BRIEF.repr(value)}, but must be {fitting}")
    return float(value)


def whole(where: str, value: Any, low: int, high: int) -> int:
    """value, if it is a whole number from low to high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        fitting = f"a whole number from {low} to {high}"
        raise ValueError(f"{where} is {_BRIEF.repr(value)}, but must be {fitting}")
    return value


def numbers(where: str, value: Any, count: int, limit: float) -> tuple[float, ...]:
    """value as a tuple, if it is a list of count numbers within +-limit."""
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"{where} is {_BRIEF.repr(value)}, but must be a list of {count} numbers")
    return tuple(number(f"{where}[{i}]", x, -limit, limit) for i, x in enumerate(value))


def _reason(error: Exception) -> str:
    """What is wrong, and in which line if the parser knows, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return (str(error).splitlines() or [type(error).__name__])[0]
