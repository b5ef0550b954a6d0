"""The engine: windows of all parts in, a stereo block out; the same live and offline.

Each frame is decided by itself: which parts sound, which begin anew, how loud they are. Runs
of frames with the same parts go through the networks as one batch of rows, frame by frame
where it matters, so how a stream is cut into blocks cannot change a sample. A part falls
asleep a fixed time after its last key and then costs nothing. A cut (all sound off) is not part
of the music: it ends what sounds when it comes, which the score had asked for `delay` frames
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from synth.bend import PitchBend
from synth.draws import Draws
from synth.limiter import limit
from synth.predictor import Predictor
from synth.vocoders.contract import Vocoder, select_rows

DECLICK_SAMPLES = 64
"""How long the last sample of a sound that was cut off fades: 4 ms at 16 kHz."""


class PartWindow(Protocol):
    """What one part plays during some frames; the bridge's windows are such."""

    part: int
    roll: np.ndarray
    embedding: np.ndarray
    gain: np.ndarray
    bend: np.ndarray
    cut: np.ndarray


@dataclass(frozen=True, slots=True)
class _Cut:
    part: int
    roll: np.ndarray
    embedding: np.ndarray
    gain: np.ndarray
    bend: np.ndarray
    cut: np.ndarray


def cut_window(window: PartWindow, start: int, count: int) -> PartWindow:
    """Frames start .. start + count of a longer window."""
    span = slice(start, start + count)
    return _Cut(
        window.part,
        window.roll[span],
        window.embedding[span],
        window.gain[span],
        window.bend[span],
        window.cut[span],
    )


@dataclass(slots=True)
class _Part:
    """A part between blocks. rest: frames since its last key; gains: those that wait for
    their frame's sound, oldest first; bends: likewise, for its spectrum, None at the beginning;
    last: its latest sample, left and right."""

    rest: int
    gains: list[np.ndarray]
    bends: list[float] | None = None
    last: np.ndarray | None = None


class Engine:
    """Renders blocks; only the thread that renders may touch it.

    ring_out: frames after its last key that a part may still sound. seed: of the uniform
    draws, which depend on seed, part and frame alone; ValueError unless in 0..2^64 - 1.
    centres: Hz of the bands of the predictor's spectra, by which they can be bent.
    `delay` is how many frames the sound runs behind the score, `lookahead` the predictor's
    share; `frame` is the next one to be rendered; `awake` how many parts the last block cost.
    """

    def __init__(
        self,
        predictor: Predictor,
        vocoder: Vocoder,
        ring_out: int,
        seed: int,
        centres: np.ndarray,
    ) -> None:
        self.hop = vocoder.hop
        self.lookahead = predictor.lookahead
        self.delay = predictor.lookahead + vocoder.lookahead
        self.frame = 0
        self.awake = 0
        self._predictor, self._vocoder, self._random = predictor, vocoder, Draws(seed)
        self._bend = PitchBend(centres)
        self._ramp = np.linspace(0, 1, self.hop, endpoint=False, dtype=np.float32)[:, None]
        # One more: the last frame of the ring-out is still to be heard.
        self._sleep_after = ring_out + self.delay + 1
        self._parts: dict[int, _Part] = {}
        self._rows: list[int] = []
        self._mel_state: Any = predictor.initial_state(0)
        self._sound_state: Any = vocoder.initial_state(0)

    @torch.inference_mode()
    def render(self, windows: Sequence[PartWindow], frames: int) -> np.ndarray:
        """The next block: (frames * hop, 2), float32, limited to -1..1.

        windows: one for each part that may sound, all `frames` long, by part.
        """
        mix = np.zeros((frames * self.hop, 2), np.float32)
        plans = {w.part: self._plan(w, frames) for w in windows}
        by_part = {w.part: w for w in windows}
        start = 0
        while start < frames:
            rows = [p for p in plans if plans[p][start] is not None]
            stop = start + 1
            while stop < frames and all(
                _goes_on(plan[start], plan[stop]) for plan in plans.values()
            ):
                stop += 1
            for p in plans:
                if plans[p][start] != "on":
                    self._fade_out(self._parts[p], mix[start * self.hop : stop * self.hop])
            if rows:
                fresh = {p for p in rows if plans[p][start] == "fresh"}
                self._select(rows, fresh)
                self._sound(rows, by_part, start, stop, mix)
            start = stop
        self.awake = sum(any(step is not None for step in plan) for plan in plans.values())
        self.frame += frames
        return limit(mix)

    def _plan(self, window: PartWindow, frames: int) -> list[str | None]:
        """For each frame: None asleep, "fresh" begins from silence, "on" goes on."""
        part = self._parts.get(window.part)
        if part is None:
            part = self._parts[window.part] = _Part(self._sleep_after, [])
        sounding = window.roll.any(axis=1)
        plan: list[str | None] = []
        for t in range(frames):
            was_awake = part.rest < self._sleep_after
            if window.cut[t]:
                part.rest, was_awake = self._sleep_after, False
            part.rest = 0 if sounding[t] else min(part.rest + 1, self._sleep_after)
            awake = part.rest < self._sleep_after
            plan.append(("on" if was_awake else "fresh") if awake else None)
        return plan

    def _select(self, rows: list[int], fresh: set[int]) -> None:
        """Make the batch hold these parts, in this order, the fresh ones from silence."""
        if rows == self._rows and not fresh:
            return
        kept = [self._rows.index(p) if p in self._rows and p not in fresh else None for p in rows]
        begun = kept.count(None)
        self._mel_state = select_rows(self._mel_state, self._predictor.initial_state(begun), kept)
        self._sound_state = select_rows(self._sound_state, self._vocoder.initial_state(begun), kept)
        self._rows = rows
        for p in fresh:
            self._parts[p].gains, self._parts[p].bends = [], None

    def _sound(
        self,
        rows: list[int],
        windows: dict[int, PartWindow],
        start: int,
        stop: int,
        mix: np.ndarray,
    ) -> None:
        """Render frames start .. stop of the rows and add them to the block."""
        chosen = [windows[p] for p in rows]
        roll = torch.from_numpy(np.stack([w.roll[start:stop] for w in chosen]))
        embedding = torch.from_numpy(np.stack([w.embedding[start:stop] for w in chosen]))
        spectra = self._predictor.step(rows, self.frame + start, roll, embedding, self._mel_state)
        for row, window in enumerate(chosen):
            self._bend_keys(window, start, stop, spectra[row])
        draws = self._draws(rows, start, stop)
        samples, self._sound_state = self._vocoder.step(spectra, self._sound_state, draws)
        for row, window in enumerate(chosen):
            self._mix(window, samples[row].numpy(), start, stop, mix)

    def _bend_keys(self, window: PartWindow, start: int, stop: int, spectra: torch.Tensor) -> None:
        """Bend a part's spectra (frames, bands) in place, each as its frame was bent."""
        part = self._parts[window.part]
        if part.bends is None:
            part.bends = [window.bend[start]] * self.lookahead
        part.bends += window.bend[start:stop].tolist()
        due, part.bends = part.bends[: stop - start], part.bends[stop - start :]
        if any(due):
            self._bend(spectra.numpy(), np.array(due))

    def _draws(self, rows: list[int], start: int, stop: int) -> torch.Tensor:
        count = self._vocoder.draws_per_frame
        draws = np.empty((len(rows), stop - start, count), np.float32)
        if count:
            for row, part in enumerate(rows):
                for t in range(start, stop):
                    self._random.fill(part, self.frame + t, draws[row, t - start])
        return torch.from_numpy(draws)

    def _mix(
        self, window: PartWindow, samples: np.ndarray, start: int, stop: int, mix: np.ndarray
    ) -> None:
        """Add a part's samples at its gains, each of which goes with its frame's sound."""
        part = self._parts[window.part]
        for t in range(start, stop):
            if not part.gains:
                part.gains = [window.gain[t]] * (self.delay + 1)
            part.gains.append(window.gain[t])
            before, now = part.gains[0], part.gains[1]
            del part.gains[0]
            sound = samples[(t - start) * self.hop : (t - start + 1) * self.hop]
            at = mix[t * self.hop : (t + 1) * self.hop]
            heard = sound[:, None] * (before + self._ramp * (now - before))
            part.last = heard[-1]
            at += heard

    def _fade_out(self, part: _Part, mix: np.ndarray) -> None:
        """Let the last sample of a sound that has just ended fade, so that it does not click."""
        if part.last is not None:
            count = min(DECLICK_SAMPLES, self.hop)
            mix[:count] += part.last * np.linspace(1, 0, count, dtype=np.float32)[:, None]
            part.last = None


def _goes_on(now: str | None, later: str | None) -> bool:
    """Whether a later frame needs the same rows as now, with no part starting anew."""
    return later != "fresh" and (now is None) == (later is None)
