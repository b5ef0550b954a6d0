"""Which controller turns which knob: learnt by moving it, and kept in a file.

21: brightness
22: timbre/0
nrpn/300: breath

timbre/0 is a coordinate of the embedding, over the span of the bank's patches. gain_db, pan, morph,
patch/next and patch/previous can be learnt, too. The file may also
be written by hand; comments in it are lost when something is learnt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import yaml

from common.checks import brief, spans, whole
from common.documents import read_yaml
from common.files import write_whole

TAKEN = {0, 6, 32, 38, 64, 66, 67, *range(96, 102), *range(120, 128)}
"""Controllers that keep their meaning: bank select, data entry, pedals, parameters, modes."""

COORDINATE_KNOB = "timbre/"
"""A coordinate of the embedding can be learnt like a knob: timbre/0, timbre/1 and so on."""


GAIN, PAN, MORPH = "gain_db", "pan", "morph"
NEXT, PREVIOUS = "patch/next", "patch/previous"
NRPN = "nrpn/"
"""Before the number 0..16383 of a parameter that a maker has of its own."""

Source = int | str
"""What turns a knob: a controller 0..127, or nrpn/ and a number."""

OTHERS = (GAIN, PAN, MORPH, NEXT, PREVIOUS)
"""What else can be learnt, in any bank."""


def knobs_of(knobs: Iterable[str], size: int) -> tuple[str, ...]:
    """What a controller can turn in a bank with these knobs and an embedding of that size.

    >>> knobs_of(["brightness"], 2)[:4]
    ('brightness', 'timbre/0', 'timbre/1', 'gain_db')
    """
    known = (*knobs, *(f"{COORDINATE_KNOB}{i}" for i in range(size)))
    return (*known, *(name for name in OTHERS if name not in known))


def read_source(value: object) -> Source:
    """What a value means as a source. ValueError in one line if it is none.

    >>> read_source(21), read_source("nrpn/300")
    (21, 'nrpn/300')
    """
    if isinstance(value, str) and value.startswith(NRPN):
        number = value.removeprefix(NRPN)
        if number.isdecimal() and len(number) <= 5 and int(number) < 16_383:
            return f"{NRPN}{int(number)}"
        raise ValueError(f"controller: expected nrpn/0 to nrpn/16382, got {brief(value)}")
    return whole("controller", value, 0, 127)


class MidiMap:
    """Controllers bound to knobs, on every channel. Any thread may ask and learn.

    path: its file, which may not exist yet; None keeps nothing. has_knob: whether the bank has a
    knob of that name; a file may name others, which then do nothing. say: gets a line of text when
    something has been learnt, or could not be. ValueError, in one line, for a file that is no map.
    """

    def __init__(
        self,
        path: Path | None,
        has_knob: Callable[[str], bool],
        say: Callable[[str], object] = print,
    ) -> None:
        self._path, self._has_knob, self._say = path, has_knob, say
        self._changing = threading.Lock()
        self._waiting: str | None = None
        """The knob that waits for a controller."""
        self._seen: dict[tuple[Source, bool], float] = {}
        """The first value of each source, and of its lower half, since a knob waits."""
        self._bound = read_map(path) if path else {}

    @property
    def bound(self) -> Mapping[Source, str]:
        """Source -> knob, in order; later changes do not alter the answer."""
        return _in_order(self._bound)

    @property
    def waiting(self) -> str | None:
        """The knob that waits for a controller, if one does."""
        return self._waiting

    def learn(self, knob: str | None) -> None:
        """Bind the next free controller that moves to this knob; None stops waiting.

        A controller has moved when it comes with a second value: a DAW that starts to play sends
        each controller once, to say where it stands. ValueError if there is no such knob.
        """
        if knob is not None:
            self._check(knob)
        with self._changing:
            self._waiting, self._seen = knob, {}

    def bind(self, controller: Source, knob: str) -> None:
        """Let a controller turn a knob instead of what it means in MIDI. ValueError if it cannot.

        controller: none of `TAKEN`.
        """
        self._check(knob)
        if controller in TAKEN:
            free = spans(set(range(128)) - TAKEN)
            raise ValueError(f"controller: {controller} keeps its meaning; free are {free}")
        with self._changing:
            self._keep({**self._stored(), controller: knob})

    def forget(self, controller: Source) -> None:
        """Give a controller back its meaning in MIDI. ValueError if it was not bound."""
        with self._changing:
            stored = self._stored()
            if controller not in stored:
                bound = ", ".join(map(str, _in_order(stored))) or "none"
                raise ValueError(f"controller: {controller} is not bound; bound are: {bound}")
            self._keep({c: knob for c, knob in stored.items() if c != controller})

    def knob_for(self, controller: Source, value: float, lower: bool = False) -> str | None:
        """The knob that this controller turns, if any; value: 0..127, with which it just came.

        lower: whether it was its lower half that came.

        Binds the controller first if a knob waits for one. Never raises: if the binding cannot
        be saved, it says so and does not bind.
        """
        waiting = self._taken_by(controller, value, lower)
        if waiting is not None:
            try:
                self.bind(controller, waiting)
                line = f"controller {controller} turns {waiting}"
            except ValueError as error:
                line = f"controller {controller} was not learnt: {error}"
            with suppress(OSError, ValueError):  # the terminal may be closed
                self._say(line)
        knob = self._bound.get(controller)
        return knob if knob is not None and self._has_knob(knob) else None

    def _taken_by(self, controller: Source, value: float, lower: bool) -> str | None:
        """The waiting knob, if this controller has moved; it then waits no longer."""
        if self._waiting is None or controller in TAKEN:
            return None
        with self._changing:
            if self._seen.setdefault((controller, lower), value) == value:
                return None
            knob, self._waiting = self._waiting, None
            return knob

    def _check(self, knob: str) -> None:
        if not self._has_knob(knob):
            raise ValueError(f"knob: no {brief(knob)} in this bank")

    def _stored(self) -> dict[Source, str]:
        """What is bound, read again: another server may have changed the same file."""
        return read_map(self._path) if self._path else self._bound

    def _keep(self, bound: dict[Source, str]) -> None:
        """Save these bindings first, then use them."""
        if self._path:
            _write(self._path, bound)
        # A new dictionary, so that a reader never sees one change while reading it.
        self._bound = bound


def read_map(path: Path) -> dict[Source, str]:
    """Source -> knob, from a file; empty if there is none. ValueError in one line."""
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
    bound: dict[Source, str] = {}
    for key, knob in content.items():
        try:
            controller = read_source(key)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if controller in TAKEN:
            raise ValueError(f"{path}: controller: {controller} keeps its meaning")
        if not isinstance(knob, str):
            raise ValueError(f"{path}: {controller}: expected a knob's name, got {brief(knob)}")
        bound[controller] = knob
    return bound


def _in_order(bound: Mapping[Source, str]) -> dict[Source, str]:
    """Controllers by their numbers, then the others by theirs."""

    def place(item: tuple[Source, str]) -> tuple[bool, int]:
        source = item[0]
        if isinstance(source, int):
            return False, source
        return True, int(source.removeprefix(NRPN))

    return dict(sorted(bound.items(), key=place))


def _write(path: Path, bound: Mapping[Source, str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{path.parent}: cannot be made: {error.strerror}") from None
    try:
        write_whole(path, yaml.safe_dump(_in_order(bound), sort_keys=False))
    except OSError as error:
        raise ValueError(str(error)) from None
