"""YAML files read strictly: every complaint names the file, the field, the value and what fits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml


def read_mapping(path: Path, allowed: Iterable[str], needed: Iterable[str]) -> dict[str, Any]:
    """The top-level mapping of a YAML file. Raises ValueError in one line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({_first_line(error)})") from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML ({_first_line(error)})") from None
    return check_mapping(str(path), content, allowed, needed)


def check_mapping(
    where: str, content: Any, allowed: Iterable[str], needed: Iterable[str]
) -> dict[str, Any]:
    """content, if it is a mapping of allowed keys that has the needed ones."""
    allowed = list(allowed)
    if not isinstance(content, dict):
        raise ValueError(f"{where}: must be a mapping of {', '.join(allowed)}")
    unknown = [key for key in content if key not in allowed]
    if unknown:
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; allowed are {', '.join(allowed)}")
    missing = [key for key in needed if key not in content]
    if missing:
        raise ValueError(f"{where}: {missing[0]} is missing")
    return content


def number(where: str, value: Any, low: float, high: float) -> float:
    """value as a float, if it is a finite number from low to high."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{where} is {value!r}, but must be a number from {low:g} to {high:g}")
    return float(value)


def whole(where: str, value: Any, low: int, high: int) -> int:
    """value, if it is a whole number from low to high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{where} is {value!r}, but must be a whole number from {low} to {high}")
    return value


def numbers(where: str, value: Any, count: int, limit: float) -> tuple[float, ...]:
    """value as a tuple, if it is a list of count numbers within +-limit."""
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"{where} is {value!r}, but must be a list of {count} numbers")
    return tuple(number(f"{where}[{i}]", x, -limit, limit) for i, x in enumerate(value))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
