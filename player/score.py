"""What of a MIDI file is played offline, and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from mido import Message

from common.window import HIGHEST_KEY, LOWEST_KEY
from daw_bridge.desk.programs import nearest
from daw_bridge.midi.file import Say, TimedMessage, sounding_end
from synth.bank.bank import Bank
from synth.instrument import Instrument

MOST_HOURS = 24
"""Of a rendering: a broken MIDI file may ask for a century of silence."""


class Score(NamedTuple):
    """Messages to be played, in order of time; end_s: from when on nothing is held."""

    messages: Sequence[TimedMessage]
    end_s: float

    @property
    def parts(self) -> list[int]:
        """Those with a note, ascending."""
        struck = (timed.message for timed in self.messages if _strikes(timed.message))
        return sorted({message.channel + 1 for message in struck})


def playable_score(
    messages: Sequence[TimedMessage],
    keep_patch: Collection[int],
    bank: Bank,
    name: str,
    say: Say,
    play_drums: Collection[int] | None = None,
) -> Score:
    """What is to be played of a file, without the programs and drums that are not wanted.

    keep_patch: parts that keep the patch they have, whatever programs the file asks for;
    play_drums: parts that play the notes of drums, as --part asks; they are left out of all others,
    and of all where there is no such flag (None); name: what messages call the file; say: gets a
    line for all that is left out. ValueError where nothing is left, or where it would never end.
    """
    playable = _playable(messages, keep_patch, play_drums, bank, say)
    if not any(_strikes(timed.message) for timed in playable):
        raise ValueError(f"{name}: no note to play (of keys {LOWEST_KEY}..{HIGHEST_KEY})")
    end_s = sounding_end(playable)
    if end_s > MOST_HOURS * 3600:
        hours = end_s / 3600
        raise ValueError(f"{name}: expected at most {MOST_HOURS} hours, got {hours:,.0f}")
    return Score(playable, end_s)


def frames_of(score: Score, instrument: Instrument) -> int:
    """How many frames a score lasts until its last note has died away."""
    analysis = instrument.bank.analysis
    return round(score.end_s * analysis.rate) // analysis.hop + instrument.ring_out_frames


def _playable(
    messages: Sequence[TimedMessage],
    keep_patch: Collection[int],
    play_drums: Collection[int] | None,
    bank: Bank,
    say: Say,
) -> list[TimedMessage]:
    playable, unknown, outside = [], set(), 0
    drums: Counter[int] = Counter()
    for timed in messages:
        kind = timed.message.type
        if kind == "sysex":
            playable.append(timed)
            continue
        part = timed.message.channel + 1
        if timed.drums and part not in (play_drums or ()):
            drums[part] += _strikes(timed.message)
        elif _strikes(timed.message) and not _has_key(timed.message):
            outside += 1
        elif kind != "program_change" or part not in keep_patch:
            playable.append(timed)
            if kind == "program_change" and nearest(timed.message.program, bank.programs) is None:
                unknown.add(timed.message.program)
    for part, count in sorted(drums.items()):
        if count:
            told = f"{_notes(count)} on channel {part} (drums) left out"
            say(told if play_drums is None else f"{told}; --part {part}=PATCH plays them")
    if outside:
        say(f"{_notes(outside)} outside keys {LOWEST_KEY}..{HIGHEST_KEY} left out")
    if unknown:
        programs = ", ".join(map(str, sorted(unknown)))
        say(f"no patch for programs {programs}: these channels keep the patch they have")
    return playable


def _strikes(message: Message) -> bool:
    return bool(message.type == "note_on" and message.velocity)


def _has_key(message: Message) -> bool:
    return bool(LOWEST_KEY <= message.note <= HIGHEST_KEY)


def _notes(count: int) -> str:
    return f"{count} note{'s' * (count != 1)}"
