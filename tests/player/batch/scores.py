"""Scores for batches, so short that many are rendered in a moment."""

from __future__ import annotations

from pathlib import Path

import mido


def write_score(path: Path, *keys: int, channel: int = 0, ticks: int = 100) -> Path:
    """A MIDI file of keys struck one after the other, a tenth of a second each by default."""
    track = mido.MidiTrack()
    for key in keys:
        track.append(mido.Message("note_on", channel=channel, note=key, velocity=90))
        track.append(mido.Message("note_off", channel=channel, note=key, time=ticks))
    mido.MidiFile(tracks=[track]).save(path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Name -> content of all files but the manifest, which has times."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "manifest.jsonl"}
