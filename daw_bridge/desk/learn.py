"""Which controller turns which knob: learnt by moving it, and kept in a file.

21: brightness
22: timbre/0
nrpn/300: breath
channel/3/21: {knob: gain_db, from: -24, to: 0}

Before the colon stands what turns it (sources.py), behind it what is turned, and how (binding.py).
The file may also be written by hand; comments in it are lost when something is learnt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from common.checks import brief, spans
from common.documents import read_yaml
from common.files import write_whole
from daw_bridge.desk.binding import Binding, read_binding, written
from daw_bridge.desk.sources import (
    TAKEN,
    Source,
    in_order,
    on_channel,
    parted,
    read_source,
)

Bound = dict[Source, Binding]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A knob that waits for a controller. channel: as in `MidiMap.learn`."""

    binding: Binding
    channel: int | None


class MidiMap:
    """Controllers bound to knobs. Any thread may ask and learn.

    path: its file, which may not exist yet; None keeps nothing. has_knob: whether the bank has a
    knob of that name; a file may name others, which then do nothing. say: gets a line of text when
    something has been learnt, or could not be. watch: gets the knob that waited, the source that it
    got, and "" or why it could not be learnt; it must not raise. ValueError, in one line, for a
    file that is no map.
    """

    def __init__(
        self,
        path: Path | None,
        has_knob: Callable[[str], bool],
        say: Callable[[str], object] = print,
    ) -> None:
        self.watch: Callable[[str, Source, str], object] | None = None
        self._path, self._has_knob, self._say = path, has_knob, say
        self._changing = threading.Lock()
        self._waiting: Waiting | None = None
        self._seen: dict[tuple[int, Source, bool], float] = {}
        """The first value of each source, and of its lower half, on each channel, since a knob
        waits."""
        self._bound = read_map(path) if path else {}

    @property
    def bindings(self) -> Mapping[Source, Binding]:
        """Source -> what it turns, in order; later changes do not alter the answer."""
        bound = self._bound
        return {source: bound[source] for source in in_order(bound)}

    @property
    def bound(self) -> Mapping[Source, str]:
        """Source -> knob, in order; later changes do not alter the answer."""
        return {source: binding.knob for source, binding in self.bindings.items()}

    @property
    def waiting(self) -> str | None:
        """The knob that waits for a controller, if one does."""
        waiting = self._waiting
        return waiting.binding.knob if waiting else None

    def learn(self, knob: str | None, channel: int | None = 0, part: int = 0) -> None:
        """Bind the next free controller that moves to this knob; None stops waiting.

        channel: the one that it is to move on and is bound for; 0 for every channel, None for the
        one that it comes on; part: whose knob, 0 for the part of the channel that it comes on.

        A controller has moved when it comes with a second value: a DAW that starts to play sends
        each controller once, to say where it stands. ValueError if there is no such knob.
        """
        if knob is not None:
            self._check(knob)
        with self._changing:
            self._waiting = None if knob is None else Waiting(Binding(knob, part), channel)
            self._seen = {}

    def bind(self, source: Source, knob: str, part: int = 0) -> None:
        """Let a controller turn a knob instead of what it means in MIDI. ValueError if it cannot.

        source: none of `TAKEN`; part: as in `learn`.
        """
        self._check(knob)
        _, controller = parted(source)
        if controller in TAKEN:
            free = spans(set(range(128)) - TAKEN)
            raise ValueError(f"controller: {controller} keeps its meaning; free are {free}")
        with self._changing:
            self._keep({**self._stored(), source: Binding(knob, part)})

    def binding(self, source: Source) -> Binding:
        """What a source turns, and how. ValueError if it turns nothing."""
        return _bound_one(self._bound, source)

    def change(self, source: Source, **fields: Any) -> Binding:
        """Let a bound source turn its knob in another way: fields of `Binding`, which have been
        checked. ValueError if it turns nothing."""
        with self._changing:
            stored = self._stored()
            new = replace(_bound_one(stored, source), **fields)
            self._keep({**stored, source: new})
            return new

    def forget(self, source: Source) -> None:
        """Give a controller back its meaning in MIDI. ValueError if it was not bound."""
        with self._changing:
            stored = self._stored()
            _bound_one(stored, source)
            self._keep({s: binding for s, binding in stored.items() if s != source})

    def has(self, channel: int, source: Source) -> bool:
        """Whether a source has learnt something, on this channel or on every one."""
        return source in self._bound or on_channel(channel, source) in self._bound

    def binding_for(
        self, channel: int, source: Source, value: float, lower: bool = False
    ) -> Binding | None:
        """What this source turns on a channel, if anything; value: 0..127, with which it just came.

        lower: whether it was its lower half that came. What was learnt for this channel alone comes
        before what was learnt for every one.

        Binds the source first if a knob waits for one. Never raises: if the binding cannot be
        saved, it says so and does not bind.
        """
        waiting = self._taken_by(channel, source, value, lower)
        if waiting is not None:
            place = channel if waiting.channel is None else waiting.channel
            self._bind_waiting(on_channel(place, source), waiting.binding)
        bound = self._bound
        binding = bound.get(on_channel(channel, source), bound.get(source))
        return binding if binding is not None and self._has_knob(binding.knob) else None

    def _bind_waiting(self, source: Source, binding: Binding) -> None:
        problem, line = "", f"controller {source} turns {binding.knob}"
        try:
            self.bind(source, binding.knob, binding.part)
        except ValueError as error:
            problem = str(error)
            line = f"controller {source} was not learnt: {problem}"
        with suppress(OSError, ValueError):  # the terminal may be closed
            self._say(line)
        if self.watch:
            self.watch(binding.knob, source, problem)

    def _taken_by(self, channel: int, source: Source, value: float, lower: bool) -> Waiting | None:
        """What waits, if this source has moved; it then waits no longer."""
        waiting = self._waiting
        if waiting is None or source in TAKEN or (waiting.channel or channel) != channel:
            return None
        with self._changing:
            if self._seen.setdefault((channel, source, lower), value) == value:
                return None
            waiting, self._waiting = self._waiting, None
            return waiting

    def _check(self, knob: str) -> None:
        if not self._has_knob(knob):
            raise ValueError(f"knob: no {brief(knob)} in this bank")

    def _stored(self) -> Bound:
        """What is bound, read again: another server may have changed the same file."""
        return read_map(self._path) if self._path else self._bound

    def _keep(self, bound: Bound) -> None:
        """Save these bindings first, then use them."""
        if self._path:
            _write(self._path, bound)
        # A new dictionary, so that a reader never sees one change while reading it.
        self._bound = bound


def read_map(path: Path) -> Bound:
    """Source -> what it turns, from a file; empty if there is none. ValueError in one line."""
    try:
        path.stat()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error})") from None
    content = read_yaml(path)
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: expected a mapping of controllers to knobs, got {brief(content)}"
        )
    bound: Bound = {}
    for key, told in content.items():
        try:
            source = read_source(key)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if parted(source)[1] in TAKEN:
            raise ValueError(f"{path}: controller: {source} keeps its meaning")
        try:
            bound[source] = read_binding(told)
        except ValueError as error:
            raise ValueError(f"{path}: {source}: {error}") from None
    return bound


def _bound_one(bound: Mapping[Source, Binding], source: Source) -> Binding:
    if source not in bound:
        known = ", ".join(map(str, in_order(bound))) or "none"
        raise ValueError(f"controller: {source} is not bound; bound are: {known}")
    return bound[source]


def _write(path: Path, bound: Bound) -> None:
    content = {source: written(bound[source]) for source in in_order(bound)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{path.parent}: cannot be made: {error.strerror}") from None
    try:
        write_whole(path, yaml.safe_dump(content, sort_keys=False))
    except OSError as error:
        raise ValueError(str(error)) from None
