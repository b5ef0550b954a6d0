"""A MIDI file as timed messages, read whole; what is wrong with it is said in one line.

A broken event costs itself, not the file. A file that is cut short is refused: nobody could tell
what it lacks.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mido import Message

from common.files import check_file
from daw_bridge.events import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    RESET_CONTROLLERS,
    SOSTENUTO,
    SUSTAIN,
)
from daw_bridge.midi.sysex import DRUMS, DrumChannels
from daw_bridge.midi.track import Event, Track, read_track

MOST_BYTES = 64 * 2**20
"""Of a MIDI file: the longest pieces have less than one MiB."""

TEMPO = 500_000
"""Microseconds for a beat until a file says otherwise."""

CHANNELS = range(16)
"""As MIDI counts them."""

Say = Callable[[str], object]
"""Takes a line for the user."""

Voice = tuple[int, int]
"""A port and a channel 0..15."""

SecondsOf = Callable[[Iterable[Event]], Iterator[float]]
"""Gives the time of each event, in order of ticks."""

SMPTE_FPS = {24: 24.0, 25: 25.0, 29: 30_000 / 1_001, 30: 30.0}
"""Frames a second, as a file states them."""

ENDINGS = (ALL_SOUND_OFF, ALL_NOTES_OFF)
"""Controllers that let go every key of their channel."""


@dataclass(frozen=True, slots=True)
class TimedMessage:
    """A channel message or a system exclusive one.

    seconds: from the start of the file, by its tempo map; drums: whether it is for a drum kit.
    """

    seconds: float
    message: Message
    drums: bool = False


def read_midi_file(path: str | Path, say: Say = lambda line: None) -> list[TimedMessage]:
    """All channel and system exclusive messages of a type 0 or 1 file, in time order.

    The file may be wrapped as RMID, and its time may be beats or SMPTE frames. Keys that are never
    let go are released at the end of their track. Ports are kept apart: where two use one channel,
    the second one gets a free channel. say: gets a line for each thing that is not as the file
    says. Raises ValueError, naming the file, if it does not exist or is not such a file.
    """
    check_file(Path(path), MOST_BYTES)
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    return midi_messages(content, str(path), say)


def midi_messages(content: bytes, name: str, say: Say = lambda line: None) -> list[TimedMessage]:
    """Like `read_midi_file`, for a file's content; name: what messages call it."""
    try:
        tracks, seconds_of = _read(content)
    except ValueError as error:
        raise ValueError(f"{name}: not a MIDI file of type 0 or 1 ({error})") from None
    broken = sum(track.broken for track in tracks)
    if broken:
        say(f"{broken} broken event{'s' * (broken != 1)} passed over")
    events = _repeats_in_order(_all_released(tracks))
    drums = _drums(events)
    channels = _channels(events, drums, say)
    messages = []
    for event, seconds, is_drums in zip(events, seconds_of(events), drums, strict=True):
        message = event.message
        if message.type != "sysex":
            channel = channels.get((event.port, message.channel))
            if channel is None:
                continue
            if channel != message.channel:
                message = message.copy(channel=channel)
        messages.append(TimedMessage(seconds, message, is_drums))
    return messages


def sounding_end(messages: Iterable[TimedMessage]) -> float:
    """The time in seconds from which on nothing is held: no key, and no note by a pedal."""
    end = 0.0
    down: set[tuple[int, int]] = set()
    """Channel and key."""
    rest: set[tuple[int, int]] = set()
    """Let go while a pedal of their channel was down."""
    pedals: set[tuple[int, int]] = set()
    """Channel and controller."""
    for timed in messages:
        message = timed.message
        if message.type == "sysex":
            continue
        channel = message.channel
        if down or rest or _strikes(message):
            end = timed.seconds
        match message.type:
            case "note_on" if message.velocity:
                down.add((channel, message.note))
            case "note_on" | "note_off":
                if (channel, message.note) in down:
                    down.remove((channel, message.note))
                    rest.add((channel, message.note))
            case "control_change" if message.control in (SUSTAIN, SOSTENUTO):
                change = pedals.add if message.value >= 64 else pedals.discard
                change((channel, message.control))
            case "control_change" if message.control == RESET_CONTROLLERS:
                pedals = {pedal for pedal in pedals if pedal[0] != channel}
            case "control_change" if message.control in ENDINGS:
                rest |= {voice for voice in down if voice[0] == channel}
                down = {voice for voice in down if voice[0] != channel}
                if message.control == ALL_SOUND_OFF:
                    pedals = {pedal for pedal in pedals if pedal[0] != channel}
        if rest:
            holding = {held for held, _ in pedals}
            rest = {voice for voice in rest if voice[0] in holding}
    return end


def _read(content: bytes) -> tuple[list[Track], SecondsOf]:
    """The tracks of a file, and its time. ValueError says why it cannot be read."""
    if content[:4] == b"RIFF" and content[8:12] == b"RMID":
        content = next((data for name, data in _chunks(content[12:], "<") if name == b"data"), b"")
    if not content:
        raise ValueError("the file is empty")
    if content[:4] != b"MThd":
        raise ValueError("it does not start with MThd")
    chunks = _chunks(content, ">")
    _, header = next(chunks, (b"", b""))
    if len(header) < 6:
        raise ValueError(f"expected a header of 6 bytes, got {len(header)}")
    kind, count, division = struct.unpack_from(">HHh", header)
    if kind > 1:
        raise ValueError(f"it is of type {kind}")
    tracks: list[Track] = []
    while len(tracks) < count:
        name, data = next(chunks, (b"", b""))
        if not name:
            raise ValueError(f"it states {count} tracks and holds {len(tracks)}")
        if name == b"MTrk":
            tracks.append(read_track(data))
    tempi = sorted((tempo for track in tracks for tempo in track.tempi), key=lambda at: at[0])
    return tracks, _time(division, tempi)


def _chunks(content: bytes, order: str) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each chunk. order: ">" for MIDI files, "<" for RIFF, which pads to even."""
    at = 0
    while at + 8 <= len(content):
        name, (size,) = content[at : at + 4], struct.unpack_from(f"{order}I", content, at + 4)
        at += 8
        if at + size > len(content):
            raise ValueError("the file ends too early")
        yield name, content[at : at + size]
        at += size + (size % 2 if order == "<" else 0)


def _time(division: int, tempi: Sequence[tuple[int, int]]) -> SecondsOf:
    """The seconds of events in order of ticks. ValueError for a division that means nothing."""
    if division < 0:
        fps, ticks = -(division >> 8), division & 255
        if fps not in SMPTE_FPS or not ticks:
            raise ValueError(
                f"division {fps} frames a second of {ticks} ticks: "
                f"must be {', '.join(map(str, SMPTE_FPS))} frames of 1 to 255 ticks"
            )
        tick_s = 1 / (SMPTE_FPS[fps] * ticks)
        return lambda events: (event.tick * tick_s for event in events)
    if not division:
        raise ValueError("division 0: must be 1 to 32767 ticks a beat")
    return lambda events: _by_tempo(events, tempi, division)


def _by_tempo(
    events: Iterable[Event], tempi: Sequence[tuple[int, int]], division: int
) -> Iterator[float]:
    """The seconds of events in order of ticks, by a tempo map."""
    changes = deque(tempi)
    since, seconds, tempo = 0, 0.0, TEMPO
    for event in events:
        while changes and changes[0][0] <= event.tick:
            tick, following = changes.popleft()
            seconds += (tick - since) * (tempo * 1e-6 / division)
            since, tempo = tick, following
        yield seconds + (event.tick - since) * (tempo * 1e-6 / division)


def _all_released(tracks: Iterable[Track]) -> list[Event]:
    """The events of all tracks in order, with releases of keys that are never let go.

    Such a key is let go at the end of its track.
    """
    merged = [(event, track.end) for track in tracks for event in track.events]
    merged.sort(key=lambda found: found[0].tick)
    down: dict[tuple[Voice, int], int] = {}
    """Voice and key -> the end of the track that struck it."""
    for event, end in merged:
        message = event.message
        if message.type in ("note_on", "note_off"):
            key = (event.port, message.channel), message.note
            if _strikes(message):
                down[key] = end
            else:
                down.pop(key, None)
    events = [event for event, _ in merged]
    for ((port, channel), note), end in down.items():
        events.append(Event(end, port, Message("note_off", channel=channel, note=note)))
    return sorted(events, key=lambda event: event.tick)


def _repeats_in_order(events: list[Event]) -> list[Event]:
    """The same events, where a key that is struck again is let go before.

    Some programs write a repeated note as a strike and, at the same tick, the release of the
    strike before. Taken as it stands that release would end the new note.
    """
    left: Counter[tuple[Voice, int]] = Counter()
    """Releases that are to come, less the strikes that are to come, for each key."""
    for event in events:
        if event.message.type in ("note_on", "note_off"):
            left[_key(event)] += -1 if _strikes(event.message) else 1
    down: set[tuple[Voice, int]] = set()
    again: dict[tuple[Voice, int], tuple[int, int]] = {}
    """Key -> tick and place of a strike of a key that was down."""
    ordered: list[Event] = []
    for event in events:
        if event.message.type in ("note_on", "note_off"):
            key = _key(event)
            if _strikes(event.message):
                left[key] += 1
                if key in down:
                    again[key] = event.tick, len(ordered)
                down.add(key)
            else:
                left[key] -= 1
                tick, place = again.pop(key, (-1, 0))
                if tick == event.tick and left[key] > 0:
                    ordered[place], event = event, ordered[place]
                    # What came between the two stays between them.
                else:
                    down.discard(key)
        ordered.append(event)
    return ordered


def _drums(events: Iterable[Event]) -> list[bool]:
    """For each event, whether it is for a drum kit."""
    kits: defaultdict[int, DrumChannels] = defaultdict(DrumChannels)
    """By port."""
    found = []
    for event in events:
        message, kit = event.message, kits[event.port]
        if message.type == "sysex":
            kit.hear_sysex(message.data)
            found.append(False)
            continue
        if message.type == "control_change" and message.control == 0:
            kit.hear_bank(message.channel + 1, message.value)
        elif message.type == "program_change":
            kit.hear_program(message.channel + 1)
        found.append(message.channel + 1 in kit)
    return found


def _channels(events: list[Event], drums: list[bool], say: Say) -> dict[Voice, int]:
    """The channel 0..15 that each voice plays on; voices of other ports that play nothing: none."""
    struck: set[Voice] = set()
    kits: set[Voice] = set()
    for event, is_drums in zip(events, drums, strict=True):
        if _strikes(event.message):
            (kits if is_drums else struck).add((event.port, event.message.channel))
    first = min((port for port, _ in struck), default=0)
    channels = dict.fromkeys(kits - struck, DRUMS - 1)
    channels |= {(first, channel): channel for channel in CHANNELS}
    taken = {channel for port, channel in struck if port == first} | {DRUMS - 1}
    for port, channel in sorted(voice for voice in struck if voice[0] != first):
        free = [c for c in (channel, *CHANNELS) if c not in taken]
        channels[port, channel] = free[0] if free else channel
        if not free:
            say(f"port {port + 1}, channel {channel + 1}: no channel is free, it shares its part")
        elif free[0] != channel:
            say(f"port {port + 1}, channel {channel + 1} plays as part {free[0] + 1}")
        taken.add(channels[port, channel])
    return channels


def _key(event: Event) -> tuple[Voice, int]:
    return (event.port, event.message.channel), event.message.note


def _strikes(message: Message) -> bool:
    return bool(message.type == "note_on" and message.velocity)
