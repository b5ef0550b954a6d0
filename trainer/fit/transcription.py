"""Notes of a recording that has no score: for one voice by its pitch, for several by a network.

One voice: pYIN (Mauch and Dixon 2014, as librosa has it) says the pitch of every frame that has
one. Frames of the same semitone are a note; where the level jumps a note begins anew. How hard a
note is struck is read from its level, 40 log10 as MIDI recommends.

Several voices: basic-pitch (Bittner et al., ICASSP 2022), whose model comes with its package. It
asks for an old tensorflow that it does not need, and so has to be installed apart:

    pip install -e ".[fit]" && pip install --no-deps basic-pitch==0.4.0
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile
import soxr

from common.files import write_whole
from common.window import HIGHEST_KEY, LOWEST_KEY
from daw_bridge.events import Event, NoteOff, NoteOn
from trainer.fit.plan import Voices
from trainer.fit.recording import Recording

INSTALL = 'pip install -e ".[fit]"'
INSTALL_SEVERAL = f"{INSTALL} && pip install --no-deps basic-pitch==0.4.0"
PITCH_RATE, PITCH_HOP, PITCH_WINDOW = 16_000, 160, 1_024
"""Of pYIN: every 10 ms. A window holds two periods of 32 Hz; twice as long a one sees two notes at
once where they change, and takes them for one an octave below."""
LOWEST_PITCH, HIGHEST_PITCH = 28, 105
"""MIDI keys, E1 and A7."""
RESOLUTION = 0.25
"""Semitones: librosa's 0.1 takes six times as long and finds the same notes."""
SHORTEST_S, BRIDGED_S = 0.06, 0.03
"""Of a note, and of a gap inside one."""
JUMP_DB, JUMP_S = 6.0, 0.03
"""A note begins anew where its level rises by so much within so long."""
AUDIBLE_DB = 45.0
"""Below the loudest: frames softer than that hold no note."""
LOUDEST_VELOCITY, SOFTEST_VELOCITY = 110, 20
METHODS: dict[Voices, str] = {"one": "pYIN", "several": "basic-pitch"}
TICKS_A_SECOND = 960


@dataclass(frozen=True, slots=True)
class Note:
    """onset, end: seconds; key 0..127; velocity 1..127."""

    onset: float
    end: float
    key: int
    velocity: int


def transcribe(recording: Recording, voices: Voices) -> list[Note]:
    """The notes of a recording, in order. ValueError where there is none, or no library for it."""
    found = _one_voice(recording) if voices == "one" else _several_voices(recording)
    notes = [note for note in found if LOWEST_KEY <= note.key <= HIGHEST_KEY]
    if not notes:
        advice = "name its MIDI file with --midi"
        if voices == "one":
            advice += ", or try --voices several"
        raise ValueError(f"{recording.name}: {METHODS[voices]} found no note in it; {advice}")
    return sorted(notes, key=lambda note: (note.onset, note.key))


def events_of(notes: list[Note], rate: int) -> list[Event]:
    """Notes as events of one part, timed in samples of rate."""
    events: list[Event] = []
    for note in notes:
        events.append(NoteOn(round(note.onset * rate), 1, note.key, note.velocity))
        events.append(NoteOff(round(note.end * rate), 1, note.key))
    # A key that is struck again as it is let go is let go first.
    return sorted(events, key=lambda e: (e.time, isinstance(e, NoteOn)))


def write_midi(path: Path, notes: list[Note]) -> None:
    """Write notes as a MIDI file. OSError if that fails."""
    file = mido.MidiFile(ticks_per_beat=TICKS_A_SECOND // 2)
    track = mido.MidiTrack()
    at = 0
    for event in events_of(notes, TICKS_A_SECOND):
        match event:
            case NoteOn(key=key, velocity=velocity):
                message = mido.Message("note_on", note=key, velocity=velocity)
            case NoteOff(key=key):
                message = mido.Message("note_off", note=key)
        track.append(message.copy(time=event.time - at))
        at = event.time
    file.tracks.append(track)
    content = io.BytesIO()
    file.save(file=content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())


def _one_voice(recording: Recording) -> list[Note]:
    try:
        import librosa
    except ImportError as error:
        raise ValueError(f"librosa cannot be loaded ({error}); {INSTALL}") from None
    audio = soxr.resample(recording.audio, recording.rate, PITCH_RATE)
    hertz, voiced, _ = librosa.pyin(
        audio,
        fmin=_hertz(LOWEST_PITCH),
        fmax=_hertz(HIGHEST_PITCH),
        resolution=RESOLUTION,
        sr=PITCH_RATE,
        frame_length=PITCH_WINDOW,
        hop_length=PITCH_HOP,
    )
    level = librosa.feature.rms(y=audio, frame_length=512, hop_length=PITCH_HOP)[0]
    level = 20 * np.log10(np.maximum(level[: len(hertz)], 1e-6))
    keys = np.where(voiced, 69 + 12 * np.log2(np.nan_to_num(hertz, nan=440.0) / 440), 0)
    keys = np.where(level > level.max() - AUDIBLE_DB, np.rint(keys), 0).astype(int)
    return notes_of_frames(keys, level, PITCH_HOP / PITCH_RATE)


def notes_of_frames(keys: np.ndarray, level: np.ndarray, frame_s: float) -> list[Note]:
    """Notes of one voice. keys (frames,): MIDI keys, 0 where there is none; level (frames,): dB.

    >>> notes_of_frames(np.repeat([0, 60, 62], 10), np.repeat([-80.0, -10.0, -10.0], 10), 0.01)
    [Note(onset=0.1, end=0.2, key=60, velocity=110), Note(onset=0.2, end=0.3, key=62, velocity=110)]
    """
    keys = _bridged(keys, round(BRIDGED_S / frame_s))
    reach = round(JUMP_S / frame_s)
    before = np.concatenate([np.full(reach, level[0]), level[:-reach]])
    jumps = level - before > JUMP_DB
    notes: list[Note] = []
    loudest = float(level[keys > 0].max(initial=-120.0))
    start = 0
    for t in range(1, len(keys) + 1):
        again = t < len(keys) and jumps[t] and not jumps[t - 1] and t - start > reach
        if t < len(keys) and keys[t] == keys[start] and not again:
            continue
        if keys[start] and (t - start) * frame_s >= SHORTEST_S:
            # 40 log10 of the velocity is the level.
            share = 10 ** ((float(level[start:t].max()) - loudest) / 40)
            velocity = max(round(LOUDEST_VELOCITY * share), SOFTEST_VELOCITY)
            onset, end = round(start * frame_s, 4), round(t * frame_s, 4)
            notes.append(Note(onset, end, int(keys[start]), velocity))
        start = t
    return notes


def _hertz(key: int) -> float:
    return 440 * 2 ** ((key - 69) / 12)


def _bridged(keys: np.ndarray, most: int) -> np.ndarray:
    """The same, runs of at most so many frames given to the note that goes on about them."""
    keys = keys.copy()
    edges = np.flatnonzero(np.diff(keys)) + 1
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        if last - first <= most and keys[first - 1] == keys[last]:
            keys[first:last] = keys[last]
    return keys


def _several_voices(recording: Recording) -> list[Note]:
    try:
        with quiet_basic_pitch():
            import onnxruntime  # noqa: F401
            from basic_pitch import FilenameSuffix, build_icassp_2022_model_path
            from basic_pitch.inference import Model, predict
    except ImportError as error:
        raise ValueError(f"basic-pitch cannot be loaded ({error}); {INSTALL_SEVERAL}") from None
    with tempfile.TemporaryDirectory() as folder, quiet_basic_pitch():
        # It takes nothing but files.
        path = Path(folder) / "heard.wav"
        soundfile.write(path, recording.audio, recording.rate, subtype="FLOAT")
        model = Model(build_icassp_2022_model_path(FilenameSuffix.onnx))
        _, _, found = predict(path, model)
    # Its amplitude is a probability of sounding, which grows with the level.
    return [
        Note(float(onset), float(end), int(key), int(np.clip(round(127 * sure), 1, 127)))
        for onset, end, key, sure, *_ in found
    ]


@contextmanager
def quiet_basic_pitch() -> Iterator[None]:
    """Hide what basic-pitch prints about missing runtimes and its progress."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
