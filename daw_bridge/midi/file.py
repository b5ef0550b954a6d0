"""A MIDI file as timed messages, read whole; what is wrong with it is said in one line."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import mido
from mido import KeySignatureError

from common.files import check_file

DRUMS = 10
"""The part (MIDI channel, counted from 1) that General MIDI keeps for drums."""
MOST_BYTES = 64 * 2**20
"""Of a MIDI file: the longest pieces have less than one MiB."""


@dataclass(frozen=True, slots=True)
class TimedMessage:
    """A channel message. seconds: from the start of the file, by its tempo map."""

    seconds: float
    message: mido.Message


def read_midi_file(path: str | Path) -> list[TimedMessage]:
    """All channel messages of a type 0 or 1 file in time order; no meta or system messages.

    Raises ValueError, naming the file, if it does not exist or is not such a file.
    """
    check_file(Path(path), MOST_BYTES)
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    return midi_messages(content, str(path))


def midi_messages(content: bytes, name: str) -> list[TimedMessage]:
    """Like `read_midi_file`, for a file's content; name: what messages call it."""
    try:
        # clip: there are files with data bytes over 127, and they can still be played.
        file = mido.MidiFile(file=io.BytesIO(content), clip=True)
        if file.ticks_per_beat <= 0:
            # Below 0 is SMPTE time, which mido would play backwards.
            raise ValueError(f"division {file.ticks_per_beat}: must be 1 to 32767 ticks a beat")
        seconds, messages = 0.0, []
        for message in file:
            seconds += message.time
            if not message.is_meta and hasattr(message, "channel"):
                messages.append(TimedMessage(seconds, message))
    except (OSError, EOFError, LookupError, TypeError, ValueError, KeySignatureError) as error:
        reason = str(error) or "the file ends too early"
        raise ValueError(f"{name}: not a MIDI file of type 0 or 1 ({reason})") from None
    return messages
