"""What commands act on, and those actions that are more than one call.

An action takes the session, the time in samples, then the arguments of its command, which have
been checked. It may return values for the sender. ValueError, in one line, for what only the
action can find wrong; then it has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from common.checks import brief, number, whole
from daw_bridge.commands.argument import Value
from daw_bridge.desk.binding import knobs_of
from daw_bridge.desk.controllers import Controllers
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.sources import NEXT_MOVED, Source, read_wanted
from daw_bridge.desk.targets import limits
from daw_bridge.events import NoteOff, NoteOn
from daw_bridge.inbox import Inbox

Answer = tuple[Value, ...]

Status = Callable[[], Mapping[str, Value]]
"""The server's counters, by name; asked in the thread of whoever sends /status."""


@dataclass(frozen=True, slots=True)
class Session:
    """What commands act on while the server runs. version: what /version says."""

    desk: Desk
    inbox: Inbox
    status: Status
    version: str
    controllers: Controllers = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "controllers", Controllers(self.desk, self.inbox.post))


def note(session: Session, time: int, part: int, key: int, velocity: float) -> None:
    """Strike a key, or release it at velocity 0."""
    if not round(velocity):
        release(session, time, part, key)
        return
    key = whole("key", key, *session.desk.keys(part))
    session.inbox.post(NoteOn(time, part, key, round(velocity)))


def release(session: Session, time: int, part: int, key: int) -> None:
    """Release a key, even one that a piano does not have: DAWs release what was refused."""
    session.inbox.post(NoteOff(time, part, key))


def control(session: Session, time: int, part: int, controller: int, value: float) -> None:
    """Move a MIDI controller."""
    session.controllers.control(part, controller, value, time)


def timbre(session: Session, time: int, part: int, *values: float) -> Answer | None:
    """Move the base; answers where it is if it was sent beyond the reach of the bank."""
    taken = session.desk.timbre(part, values, time)
    return None if taken == values else taken


def coordinate(session: Session, time: int, part: int, i: int, value: float) -> Answer | None:
    """Move the base along a coordinate, answering in the same way."""
    taken = session.desk.coordinate(part, i, value, time)
    return None if taken == value else (taken,)


def morph_now(session: Session, part: int) -> Answer:
    """The two patches and the amount of the morph that a part stands on."""
    now = session.desk.settings(part)
    if now.morph is None:
        raise ValueError(f"part {part} is not on a morph; its patch is {now.patch}")
    return now.patch, now.towards, now.morph


def save(session: Session, time: int, part: int, name: str, overwrite: int) -> Answer:
    """Save the timbre of a part as a patch."""
    return part, session.desk.save(part, name, bool(overwrite)).patch


def delete(session: Session, time: int, name: str) -> Answer:
    """Delete a patch of the user's."""
    session.desk.delete(name)
    return (name,)


def rename(session: Session, time: int, name: str, new: str) -> Answer:
    """Rename a patch of the user's."""
    session.desk.rename(name, new)
    return name, new


def duplicate(session: Session, time: int, name: str, new: str) -> Answer:
    """Copy a patch."""
    session.desk.book.duplicate(name, new)
    return name, new


def import_patch(session: Session, time: int, name: str, content: str) -> Answer:
    """Add a patch from the content of its file."""
    session.desk.book.import_text(name, content)
    return (name,)


def export_patch(session: Session, time: int, name: str) -> Answer:
    """Answer the content of a patch's file."""
    return name, session.desk.book.export_text(name)


def describe(session: Session, time: int, name: str, author: str, tags: str) -> Answer:
    """State author and tags; tags: with commas between them."""
    found = tuple(dict.fromkeys(tag.strip() for tag in tags.split(",") if tag.strip()))
    session.desk.book.describe(name, author.strip(), found)
    return (name,)


def favourite(session: Session, time: int, name: str, on: int) -> Answer:
    """Make a patch a favourite, or no longer."""
    session.desk.book.favour(name, bool(on))
    return name, on


def keep_desk(session: Session, time: int, name: str, overwrite: int) -> Answer:
    """Save a snapshot of the desk."""
    session.desk.snapshots.save(name, session.desk.parts(), bool(overwrite))
    return (name,)


def recall_desk(session: Session, time: int, name: str) -> Answer:
    """Let the desk stand as in a snapshot."""
    session.desk.recall(session.desk.snapshots.read(name), time)
    return (name,)


def delete_desk(session: Session, time: int, name: str) -> Answer:
    """Delete a snapshot."""
    session.desk.snapshots.delete(name)
    return (name,)


def undo_desk(session: Session, time: int) -> Answer:
    """Undo the last change of the snapshots."""
    return (session.desk.snapshots.undo(),)


def learn(session: Session, time: int, knob: str | None, wanted: Source, part: int) -> Answer:
    """Let a controller turn a knob: this controller, or the next one that moves.

    Answers the knob and the controller, both "" if no knob waits any more.
    """
    channel, source = read_wanted(wanted)
    learnt = session.desk.learnt
    if knob is None:
        learnt.learn(None)
        return "", ""
    if source == NEXT_MOVED:
        learnt.learn(knob, channel, part)
        return knob, wanted
    learnt.bind(source, knob, part)
    return knob, source


def forget(session: Session, time: int, source: Source) -> Answer:
    """Give a controller back its meaning."""
    session.desk.learnt.forget(source)
    return (source,)


def binding(session: Session, source: Source) -> Answer:
    """What a controller turns, and how: name value name value ..."""
    b = session.desk.learnt.binding(source)
    ends = () if b.ends is None else ("from", b.ends[0], "to", b.ends[1])
    told = ("knob", b.knob, "part", b.part, *ends, "curve", b.curve, "takeover", int(b.takeover))
    return source, *told


def set_ends(
    session: Session, time: int, source: Source, start: float | None, end: float | None
) -> Answer:
    """Where a controller puts its knob at 0 and at 127; without both, around where that stands."""
    knob = session.desk.learnt.binding(source).knob
    if knob not in knobs_of(session.desk.book.knobs, session.desk.book.embedding_size):
        raise ValueError(f"knob: no {brief(knob)} in this bank")
    within = limits(session.desk, knob)
    if within is None:
        raise ValueError(f"range: {knob} has none")
    if start is None or end is None:
        if start is not None:
            raise ValueError("to: expected a number, got none")
        session.desk.learnt.change(source, ends=None)
    else:
        ends = number("from", start, *within), number("to", end, *within)
        session.desk.learnt.change(source, ends=ends)
    return binding(session, source)


def set_curve(session: Session, time: int, source: Source, curve: float) -> Answer:
    """How a controller's way is bent."""
    session.desk.learnt.change(source, curve=curve)
    return binding(session, source)


def set_takeover(session: Session, time: int, source: Source, on: int) -> Answer:
    """Whether a controller takes hold only where its knob stands."""
    session.desk.learnt.change(source, takeover=bool(on))
    return binding(session, source)


def vkb_note(session: Session, time: int, channel: int, key: int, velocity: float) -> None:
    """A note from a sender whose channels may count from 0: 0 is taken as 1."""
    note(session, time, max(channel, 1), key, velocity)


def vkb_control(session: Session, time: int, channel: int, number: int, value: float) -> None:
    """A controller from such a sender."""
    control(session, time, max(channel, 1), number, value)


def vkb_pitch(session: Session, time: int, channel: int, value: float) -> None:
    """A pitch wheel from such a sender; value: 0..16383, 8192 is its middle."""
    session.controllers.pitch_wheel(max(channel, 1), value - 8192, time)


def mnote(session: Session, time: int, key: int, velocity: float, _id: float | None) -> None:
    """A note for part 1. The id, which tells notes of one key apart, is not needed here."""
    note(session, time, 1, key, velocity)


def mnote_release(
    session: Session, time: int, key: int, _velocity: float, _id: float | None
) -> None:
    """A release for part 1."""
    release(session, time, 1, key)


def flat(items: Mapping[int, str] | Mapping[str, Value]) -> Answer:
    """Keys and values in one row."""
    return tuple(x for item in items.items() for x in item)
