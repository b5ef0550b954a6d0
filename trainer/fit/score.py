"""The notes of a recording, frame by frame, and where they lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from common.window import HIGHEST_KEY, KEYS, LOWEST_KEY
from daw_bridge.events import Event, NoteOn
from daw_bridge.midi.file import read_midi_file
from daw_bridge.piano_roll import PianoRoll
from synth.mel import Analysis
from synth.mel2mel.keys import KeyTracks, initial_keys, play_keys
from synth.mel2mel.network import Mel2Mel
from trainer.data.score import score_events

LONGEST_S = 1_800.0
"""Of a score: it must be told from every other place of itself."""
RING_S = 2.0
"""Kept after the last event: what then still rings is compared, too."""
AT_ONCE = 1_024
"""Frames that the network is given together."""
APART_S = 0.05
"""Two places nearer than this are the same place."""
NEAR_S = 1.0
"""To both sides of a place that is known to be near."""
CLEAR, ALIKE = 1.1, 0.1
"""A place is doubtful where it is less than so many times better than the next best, or where the
correlation is below this."""


@dataclass(frozen=True, slots=True)
class Score:
    """roll (frames, 176) in 0..1; keys: `play_keys` of it, one row."""

    roll: np.ndarray
    keys: KeyTracks

    @property
    def frames(self) -> int:
        return len(self.roll)

    @property
    def notes(self) -> int:
        return int((self.roll[:, KEYS:] > 0).sum())

    def tensors(self, start: int, count: int) -> tuple[Tensor, KeyTracks]:
        """Frames start .. start + count as the network takes them: roll (1, count, 176), keys.

        Before the score begins, and after it ends, nothing is played.
        """
        before = min(max(-start, 0), count)
        after = min(max(start + count - self.frames, 0), count - before)
        inside = self.roll[max(start, 0) : max(start + count, 0)]
        roll = torch.from_numpy(np.pad(inside, ((before, after), (0, 0))))[None]
        moment = initial_keys(1)
        if start > 0:
            moment = self.keys.at((slice(None), min(start, self.frames) - 1))
        # Onsets act on whole frames, as in training: where in a recording's frames they lie is not
        # known, and whole ages are cheaper.
        return roll, replace(play_keys(roll, moment)[0], late=None)


@dataclass(frozen=True, slots=True)
class Place:
    """Frame 0 of the recording is frame `lag` of the score. alike: correlation of their onsets,
    0..1; clear: how many times better it is than that of the next best place."""

    lag: int
    alike: float
    clear: float

    @property
    def doubtful(self) -> bool:
        return self.alike < ALIKE or self.clear < CLEAR


def read_score(path: Path, analysis: Analysis) -> Score:
    """All channels of a MIDI file but its drums. ValueError if it holds no note of a piano's keys,
    or is longer than `LONGEST_S`."""
    events = score_events(read_midi_file(path), analysis.rate)
    if not any(isinstance(e, NoteOn) and LOWEST_KEY <= e.key <= HIGHEST_KEY for e in events):
        raise ValueError(
            f"{path}: expected a note of keys {LOWEST_KEY} to {HIGHEST_KEY}, drums left out, "
            "got none"
        )
    seconds = events[-1].time / analysis.rate
    if seconds > LONGEST_S:
        raise ValueError(f"{path}: expected at most {LONGEST_S:g} s, got {seconds:.0f} s")
    return make_score(events, analysis)


def make_score(events: Sequence[Event], analysis: Analysis) -> Score:
    """The score of events of one part, in order, timed in samples; at least one."""
    last = events[-1].time / analysis.rate + RING_S
    roll = PianoRoll(analysis.hop).frames(events, 0, round(last * analysis.frame_rate))
    keys, _ = play_keys(torch.from_numpy(roll)[None], initial_keys(1))
    return Score(roll, keys)


def find_place(
    score: Score,
    heard: Tensor,
    net: Mel2Mel,
    point: Tensor,
    quiet: float,
    bands: Tensor,
    about: int | None = None,
) -> Place:
    """Where in a score a recording lies, by how its bands get louder.

    heard (frames, mels): the recording's log mel bands; point (inputs,): a timbre that speaks the
    score for the comparison; quiet: amplitude, changes far below it do not count; bands (mels,):
    which the recording can hold; about: a lag that is known to be near.
    """
    frame_rate, total = net.config.analysis.frame_rate, len(heard)
    first, count = 0, score.frames
    if about is not None:
        near = round(NEAR_S * frame_rate)
        first, count = about - near, total + 2 * near
    ours, theirs = predict_mel(net, score, first, count, point)[:, bands], heard[:, bands]
    # Both as loud as each other at their loudest, so that one measure of quiet serves both.
    rises = _rises(ours - ours.max() + theirs.max(), quiet), _rises(theirs, quiet)
    size = 1 << (count + total - 1).bit_length()
    spectra = [torch.fft.rfft(x, size, dim=0) for x in rises]
    # fit[lag]: the recording's frame t against ours at t + lag; negative lags lie at the end.
    fit = torch.fft.irfft((spectra[0] * spectra[1].conj()).sum(1), size)
    best = int(fit.argmax())
    apart = max(round(APART_S * frame_rate), 1)
    others = fit.roll(-best)
    others[: apart + 1] = others[-apart:] = 0
    lag = best if best < count else best - size
    both = slice(max(lag, 0), max(lag + total, 0)), slice(max(-lag, 0), max(count - lag, 0))
    norm = float(rises[0][both[0]].norm() * rises[1][both[1]].norm())
    peak, second = float(fit[best]), float(others.max())
    return Place(lag + first, peak / max(norm, 1e-9), peak / max(second, 1e-9))


@torch.inference_mode()
def predict_mel(net: Mel2Mel, score: Score, start: int, count: int, point: Tensor) -> Tensor:
    """Log mel bands (count, mels) that a point (size,) gives frames of a score from start on."""
    made = []
    for at in range(start, start + count, AT_ONCE):
        roll, keys = score.tensors(at, min(AT_ONCE, start + count - at))
        made.append(net(roll, point[None, None], None, keys).mel[0])
    return torch.cat(made)


def _rises(mel: Tensor, quiet: float) -> Tensor:
    """By how much each band gets louder from frame to frame, less what is usual in it."""
    level = (mel.exp() + quiet).log()
    rise = level.diff(dim=0, prepend=level[:1]).clamp(min=0)
    return rise - rise.mean(0)
