"""What a controller has learnt: what it turns, and how.

In a file, a binding is the name of a knob, or more than that:

21: brightness
channel/3/22: {knob: gain_db, part: 5, from: -24, to: 0, curve: 0.5, takeover: true}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from common.checks import brief, number, whole
from common.window import PARTS
from daw_bridge.desk.settings import Range

COORDINATE = "timbre/"
"""Before the number of a coordinate of the embedding, counted from 0."""
GAIN, PAN, MORPH, MUTE, SOLO = "gain_db", "pan", "morph", "mute", "solo"
NEXT, PREVIOUS = "patch/next", "patch/previous"
OTHERS = (GAIN, PAN, MORPH, MUTE, SOLO, NEXT, PREVIOUS)
"""What can be learnt in any bank."""

STEEPEST = 3.0
"""The power that a curve of 1 bends a controller's way by."""
FURTHEST = 1e6
"""More than any knob has; beyond its own ends, a knob stops there."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a source turns, and how.

    knob: its name, or another of `knobs_of`; part: whose, 1..16, 0 for the part of the channel
    that the controller came on; ends: where 0 and 127 put it, in the knob's own unit, the first may
    be the greater; None for what controllers.py says; curve: -1..1, 0 a straight line, above 0
    slow at first, below 0 fast at first; takeover: whether it takes hold only where the knob
    stands.
    """

    knob: str
    part: int = 0
    ends: Range | None = None
    curve: float = 0.0
    takeover: bool = False

    def shaped(self, value: float) -> float:
        """A controller's value 0..127 on its curve, likewise 0..127.

        >>> [round(Binding("pan", curve=c).shaped(63.5), 1) for c in (-1, 0, 1)]
        [100.8, 63.5, 15.9]
        """
        return 127 * (value / 127) ** STEEPEST**self.curve if self.curve else value


def knobs_of(knobs: Iterable[str], size: int) -> tuple[str, ...]:
    """What a controller can turn in a bank with these knobs and an embedding of that size.

    >>> knobs_of(["brightness"], 2)[:4]
    ('brightness', 'timbre/0', 'timbre/1', 'gain_db')
    """
    known = (*knobs, *(f"{COORDINATE}{i}" for i in range(size)))
    return (*known, *(name for name in OTHERS if name not in known))


def read_binding(content: object) -> Binding:
    """A binding from a file. ValueError, in one line without the file's name, if it is none."""
    if isinstance(content, str):
        return Binding(content)
    if not isinstance(content, dict):
        raise ValueError(f"expected a knob's name, got {brief(content)}")
    known = ("knob", "part", "from", "to", "curve", "takeover")
    for key in content:
        if key not in known:
            raise ValueError(f"no field {brief(key)}; there are {', '.join(known)}")
    if not isinstance(content.get("knob"), str):
        raise ValueError(f"knob: expected a name, got {brief(content.get('knob'))}")
    if ("from" in content) != ("to" in content):
        raise ValueError("from and to: expected both or neither")
    if not isinstance(content.get("takeover", False), bool):
        raise ValueError(f"takeover: expected true or false, got {brief(content['takeover'])}")
    ends = None
    if "from" in content:
        low, high = (number(key, content[key], -FURTHEST, FURTHEST) for key in ("from", "to"))
        ends = low, high
    return Binding(
        content["knob"],
        whole("part", content.get("part", 0), 0, PARTS[-1]),
        ends,
        number("curve", content.get("curve", 0.0), -1, 1),
        content.get("takeover", False),
    )


def written(binding: Binding) -> str | dict[str, Any]:
    """A binding as `read_binding` reads it: as short as can be."""
    content: dict[str, Any] = {"knob": binding.knob}
    if binding.part:
        content["part"] = binding.part
    if binding.ends:
        content["from"], content["to"] = binding.ends
    if binding.curve:
        content["curve"] = binding.curve
    if binding.takeover:
        content["takeover"] = True
    return content if len(content) > 1 else binding.knob
