"""Notes of recordings without a score."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from daw_bridge.midi.file import read_midi_file
from trainer.fit.recording import Recording
from trainer.fit.transcription import Note, notes_of_frames, transcribe, write_midi

RATE = 16_000
KEYS, HELD_S = (60, 64, 67, 72, 55), 0.3


def recorded(audio: np.ndarray) -> Recording:
    return Recording(audio.astype(np.float32), RATE, RATE / 2, "take.wav", "", 0.0)


def harmonic_tune() -> np.ndarray:
    """A tone of five harmonics for each key, one after the other, the second one softer."""
    tones = []
    for number, key in enumerate(KEYS):
        time = np.arange(round(HELD_S * RATE)) / RATE
        pitch = 440 * 2 ** ((key - 69) / 12)
        tone = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 6))
        fade = np.minimum(np.minimum(time, time[::-1]) / 0.01, 1)
        tones.append((0.05 if number == 1 else 0.2) * fade * tone)
    return np.concatenate([np.zeros(RATE // 5), *tones, np.zeros(RATE // 5)])


def check_tune(notes: list[Note]) -> None:
    assert [note.key for note in notes] == list(KEYS)
    for number, note in enumerate(notes):
        # A leap of more than an octave is heard some frames late.
        assert note.onset == pytest.approx(0.2 + number * HELD_S, abs=0.08)
        assert note.end - note.onset == pytest.approx(HELD_S, abs=0.1)


def test_one_voice_by_its_pitch():
    pytest.importorskip("librosa")
    notes = transcribe(recorded(harmonic_tune()), "one")
    check_tune(notes)
    # 12 dB softer is half the velocity.
    assert notes[1].velocity == pytest.approx(notes[0].velocity / 2, abs=4)


def test_several_voices_by_basic_pitch():
    pytest.importorskip("basic_pitch")
    pytest.importorskip("onnxruntime")
    assert set(KEYS) <= {note.key for note in transcribe(recorded(harmonic_tune()), "several")}


def test_without_the_libraries_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(ValueError, match=r"librosa cannot be loaded .*pip install -e"):
        transcribe(recorded(harmonic_tune()), "one")
    monkeypatch.setitem(sys.modules, "basic_pitch", None)
    with pytest.raises(ValueError, match=r"basic-pitch cannot be loaded .*--no-deps basic-pitch"):
        transcribe(recorded(harmonic_tune()), "several")


def test_noise_holds_no_note():
    pytest.importorskip("librosa")
    noise = np.random.default_rng(0).normal(size=RATE)
    with pytest.raises(ValueError, match=r"take\.wav: pYIN found no note in it; name its MIDI"):
        transcribe(recorded(0.1 * noise), "one")


def test_a_key_struck_again_begins_anew_and_a_gap_is_bridged():
    keys = np.repeat([60, 0, 60, 60], [20, 2, 20, 30])
    level = np.repeat([-10.0, -10.0, -20.0, -8.0], [20, 2, 20, 30])
    notes = notes_of_frames(keys, level, 0.01)
    assert [(n.onset, n.end) for n in notes] == [(0.0, 0.42), (0.42, 0.72)]
    assert notes_of_frames(np.repeat([0, 60, 0], [5, 4, 5]), np.zeros(14), 0.01) == []


def test_notes_come_back_from_the_midi_file(tmp_path):
    notes = [Note(0.25, 0.75, 60, 90), Note(0.5, 1.0, 64, 40), Note(1.0, 1.5, 64, 50)]
    path = tmp_path / "deep" / "take.mid"
    write_midi(path, notes)
    read = [(m.seconds, m.message.note, m.message.velocity) for m in read_midi_file(path)]
    struck = [entry for entry in read if entry[2] and entry[0] in (0.25, 0.5, 1.0)]
    assert (0.25, 60, 90) in struck and (0.5, 64, 40) in struck and (1.0, 64, 50) in struck
