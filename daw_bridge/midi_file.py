"""A MIDI file as timed messages, read once, with its errors told in one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mido


@dataclass(frozen=True, slots=True)
class TimedMessage:
    """A channel message. seconds: from the start of the file, by its tempo map."""

    seconds: float
    message: mido.Message


def read_midi_file(path: str | Path) -> list[TimedMessage]:
    """All channel messages of a type 0 or 1 file in time order.

    Raises ValueError naming the file when it is missing or is not such a file.
    """
    try:
        # clip: files with data bytes over 127 exist and are still worth playing.
        file = mido.MidiFile(path, clip=True)
        seconds, messages = 0.0, []
        for message in file:
            seconds += message.time
            if not message.is_meta and message.type != "sysex":
                messages.append(TimedMessage(seconds, message))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such MIDI file") from None
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError) as error:
        reason = str(error) or "the file ends too early"
        raise ValueError(f"{path}: not a MIDI file of type 0 or 1 ({reason})") from None
    return messages
