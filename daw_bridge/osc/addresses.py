"""What each OSC address means: messages in, notes and knobs out, replies back.

    /part/<ch>/note key velocity          /part/<ch>/timbre x y ...
    /part/<ch>/cc number value            /part/<ch>/timbre/<i> x      i from 0
    /part/<ch>/patch name                 /part/<ch>/knob/<name> x     0..1
    /part/<ch>/gain_db x                  /part/<ch>/morph a b x       0..1
    /part/<ch>/pan x                      /part/<ch>/bend x            semitones
    /panic
    /patch/save ch name [overwrite 0|1]   -> /patch/save.reply ch name
    /patch/list                           -> /patch/list.reply name ...
    /status                               -> /status.reply key value key value ...
    /version                              -> /version.reply version
    /sync id                              -> /synced id, when all before it has been taken
    /midi/learn knob                      the next controller that moves turns it: brightness,
                                          timbre/0; without a knob it is called off
    /midi/learn knob number               this controller turns it
    /midi/forget number                   what it means is MIDI's again
    /midi/map                             -> /midi/map.reply number knob number knob ...
    /vkb_midi/<ch>/note/<key> velocity    as Reaper's and Bitwig's users send it; also
    /vkb_midi/<ch>/note key velocity      /vkb_midi/<ch>/cc/<n> value; /vkb_midi/<ch>/pitch
                                          0..16383; channel 0 counts as 1
    /mnote key velocity [id]              as Surge XT's: part 1; /mnote/rel releases

Channels are 1..16, keys that sound 21..108, velocity 0 is a release, numbers come as int or
float. Notes and knobs in a bundle are stamped with its timetag, up to 60 s ahead; questions,
saving and panic are for at once. While a patch is written, some ms, what else comes over OSC
waits. Address patterns (* ?) are not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from common.checks import number, whole
from daw_bridge.clock import AudioClock, seconds_until
from daw_bridge.desk.desk import Desk
from daw_bridge.events import NoteOff, NoteOn
from daw_bridge.inbox import Inbox
from daw_bridge.osc.packet import Argument, Message
from daw_bridge.piano_roll import HIGHEST_KEY, LOWEST_KEY

HORIZON_S = 60.0
"""How far ahead a timetag may lie: beyond it, a clock is wrong rather than a player early."""

Args = Sequence[Argument]
Reply = tuple[str, tuple[int | float | str, ...]]
REMEMBERED = 4_096
"""Timetags whose stamps are kept."""

Status = Callable[[], Mapping[str, int | float | str]]


class Addresses:
    """The address table, bound to what it moves. status is asked for each /status."""

    def __init__(
        self, desk: Desk, inbox: Inbox, clock: AudioClock, status: Status, version: str
    ) -> None:
        self._desk = desk
        self._inbox = inbox
        self._clock = clock
        self._status = status
        self._version = version
        self._stamps: dict[int, int] = {}
        """Of timetags, the latest known last. What a DAW sends in many packets for one moment
        keeps its order: the clock's answer would move by some samples from one to the next."""

    def act(self, message: Message, arrival: int) -> Reply | None:
        """Do what message says; returns a reply's address and arguments, if there is one.

        arrival: the packet's, in samples, for what has no timetag. Raises ValueError, in one
        line for the sender, and then has changed nothing.
        """
        args = message.args
        match message.address.split("/")[1:]:
            case ["part", channel, *knob]:
                part = whole_text("channel", channel, 1, 16)
                time = self._time(message.timetag, arrival)
                self._turn(part, knob, args, time)
            case ["vkb_midi", channel, *key]:
                # Bitwig's users count from 1, some of Reaper's from 0.
                part = max(whole_text("channel", channel, 0, 16), 1)
                self._key(part, key, args, self._time(message.timetag, arrival))
            case ["mnote", *rel] if rel in ([], ["rel"]):
                # Surge's third argument tells notes of one key apart: no need here.
                key, velocity = exactly("key velocity", args[:2])
                time = self._time(message.timetag, arrival)
                self._note(1, key, velocity, time, release=bool(rel))
            case ["patch", "save"]:
                given = args if len(args) == 3 else (*args, 0)
                part, name, overwrite = exactly("ch name overwrite", given)
                overwrite = bool(whole("overwrite", overwrite, 0, 1))
                saved = self._desk.save(part, text("name", name), overwrite)
                return "/patch/save.reply", (int(part), saved.patch)
            case ["patch", "list"]:
                return "/patch/list.reply", tuple(self._desk.names)
            case ["status"]:
                items = self._status().items()
                return "/status.reply", tuple(value for item in items for value in item)
            case ["version"]:
                return "/version.reply", (self._version,)
            case ["sync"]:
                (mark,) = exactly("id", args)
                return "/synced", (whole("id", mark, -(2**63), 2**63 - 1),)
            case ["midi", *learnt]:
                return self._learn(learnt, args)
            case ["panic"]:
                self._inbox.panic(arrival)
            case _:
                raise ValueError("no such address here")
        return None

    def _turn(self, part: int, knob: list[str], args: Args, time: int) -> None:
        """What stands below /part/<ch>."""
        desk = self._desk
        match knob:
            case ["note"]:
                self._note(part, *exactly("key velocity", args), time)
            case ["cc"]:
                desk.control(part, *exactly("number value", args), time)
            case ["timbre"]:
                desk.timbre(part, args, time)
            case ["timbre", i]:
                coordinate = whole_text("timbre coordinate", i, 0, 2**16)
                desk.coordinate(part, coordinate, *exactly("value", args), time)
            case ["knob", name]:
                desk.knob(part, name, *exactly("value", args), time)
            case ["morph"]:
                a, b, amount = exactly("patch patch amount", args)
                desk.morph(part, text("patch", a), text("patch", b), amount, time)
            case ["gain_db"]:
                desk.gain_db(part, *exactly("value", args), time)
            case ["pan"]:
                desk.pan(part, *exactly("value", args), time)
            case ["bend"]:
                desk.bend(part, *exactly("semitones", args), time)
            case ["patch"]:
                (name,) = exactly("name", args)
                desk.patch(part, text("name", name), time)
            case _:
                raise ValueError("no such address here")

    def _learn(self, learnt: list[str], args: Args) -> Reply | None:
        """What stands below /midi."""
        controllers = self._desk.learnt
        match learnt:
            case ["learn"] if len(args) == 2:
                knob, controller = args
                controllers.bind(controller, text("knob", knob))
            case ["learn"]:
                controllers.learn(text("knob", *exactly("knob", args)) if args else None)
            case ["forget"]:
                controllers.forget(*exactly("number", args))
            case ["map"]:
                return "/midi/map.reply", tuple(x for b in controllers.bound.items() for x in b)
            case _:
                raise ValueError("no such address here")
        return None

    def _key(self, part: int, key: list[str], args: Args, time: int) -> None:
        """What stands below /vkb_midi/<ch>."""
        match key:
            case ["note", key]:
                key = whole_text("key", key, 0, 127)
                self._note(part, key, *exactly("velocity", args), time)
            case ["note"]:
                self._note(part, *exactly("key velocity", args), time)
            case ["cc", controller]:
                controller = whole_text("controller", controller, 0, 127)
                self._desk.control(part, controller, *exactly("value", args), time)
            case ["pitch"]:
                (value,) = exactly("value", args)
                self._desk.pitch_wheel(part, number("pitch", value, 0, 16383) - 8192, time)
            case _:
                raise ValueError("no such address here")

    def _note(
        self, part: int, key: Argument, velocity: Argument, time: int, release: bool = False
    ) -> None:
        key = whole("key", key, 0, 127)
        velocity = round(number("velocity", velocity, 0, 127))
        if velocity and not release:
            key = whole("key", key, LOWEST_KEY, HIGHEST_KEY)
            self._inbox.post(NoteOn(time, part, key, velocity))
        else:
            self._inbox.post(NoteOff(time, part, key))

    def _time(self, timetag: int | None, arrival: int) -> int:
        """When it is to sound, in samples."""
        if timetag is None:
            return arrival
        if timetag not in self._stamps:
            ahead = seconds_until(timetag)
            if ahead > HORIZON_S:
                raise ValueError(f"timetag: {ahead:.1f} s ahead; at most {HORIZON_S:g} s")
            if len(self._stamps) == REMEMBERED:
                del self._stamps[next(iter(self._stamps))]
            self._stamps[timetag] = self._clock.samples_at_ntp(timetag)
        return self._stamps[timetag]


def exactly(names: str, args: Args) -> Args:
    """args, if there are as many as names (separated by spaces); else ValueError."""
    if len(args) != len(names.split()):
        raise ValueError(f"{len(args)} arguments given where it takes: {names}")
    return args


def text(field: str, value: Argument) -> str:
    """value, if it is a string; else ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{field}: {value!r} is not a string")
    return value


def whole_text(field: str, written: str, low: int, high: int) -> int:
    """A number written into the address."""
    return whole(field, int(written) if written.isdecimal() else written, low, high)
