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
from enum import Enum, auto
from typing import Generic, TypeVar

import numpy as np
import torch

from common.window import Window
from synth.bend import PitchBend
from synth.draws import Draws
from synth.mixer import Mixer
from synth.predictor import Predictor
from synth.rows import RowState, select_rows
from synth.vocoders.contract import Vocoder

PredictorState = TypeVar("PredictorState", bound=RowState)
VocoderState = TypeVar("VocoderState", bound=RowState)


class Activity(Enum):
    """What a part does during one frame."""

    ASLEEP = auto()
    BEGINS = auto()
    """It sounds, from silence."""
    GOES_ON = auto()


@dataclass(slots=True)
class _PartMoment:
    """A part between blocks. rest: frames since its last key; bends: those whose frames have no
    spectrum yet, oldest first, None before its first frame."""

    rest: int
    bends: list[float] | None = None


class Engine(Generic[PredictorState, VocoderState]):
    """Renders blocks; only the thread that renders may touch it.

    ring_out: frames after its last key that a part may still sound. seed: of the uniform
    draws, which depend on seed, part and frame alone; ValueError unless in 0..2^64 - 1.
    centres: Hz of the bands of the predictor's spectra, by which they can be bent.
    `delay` is how many frames the sound runs behind the score, `lookahead` the predictor's
    share; `frame` is the next one to be rendered; `awake` how many parts the last block cost.
    """

    def __init__(
        self,
        predictor: Predictor[PredictorState],
        vocoder: Vocoder[VocoderState],
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
        self._mixer = Mixer(self.hop, self.delay)
        # One more: the last frame of the ring-out is still to be heard.
        self._sleep_after = ring_out + self.delay + 1
        self._parts: dict[int, _PartMoment] = {}
        self._rows: list[int] = []
        self._spectra_state = predictor.initial_state(0)
        self._sound_state = vocoder.initial_state(0)

    @torch.inference_mode()
    def render(self, windows: Sequence[Window], frames: int) -> np.ndarray:
        """The next block: (frames * hop, 2), float32, limited to -1..1.

        windows: one for each part that may sound, all `frames` long, by part.
        """
        self._mixer.open(frames)
        plans = {w.part: self._plan(w) for w in windows}
        by_part = {w.part: w for w in windows}
        start = 0
        while start < frames:
            now = {part: plan[start] for part, plan in plans.items()}
            stop = start + 1
            while stop < frames and all(_goes_on(now[p], plans[p][stop]) for p in plans):
                stop += 1
            for part, activity in now.items():
                if activity is not Activity.GOES_ON:
                    self._mixer.fade_out(part, start)
            rows = [part for part, activity in now.items() if activity is not Activity.ASLEEP]
            if rows:
                self._select(rows, {p for p in rows if now[p] is Activity.BEGINS})
                self._sound([by_part[p].span(start, stop - start) for p in rows], start)
            start = stop
        self.awake = sum(any(a is not Activity.ASLEEP for a in plan) for plan in plans.values())
        self.frame += frames
        return self._mixer.close()

    def _plan(self, window: Window) -> list[Activity]:
        """What a part does in each frame."""
        part = self._parts.get(window.part)
        if part is None:
            part = self._parts[window.part] = _PartMoment(self._sleep_after)
        plan = []
        for roll, cut in zip(window.roll, window.cut, strict=True):
            was_awake = part.rest < self._sleep_after
            if cut:
                part.rest, was_awake = self._sleep_after, False
            part.rest = 0 if roll.any() else min(part.rest + 1, self._sleep_after)
            if part.rest == self._sleep_after:
                plan.append(Activity.ASLEEP)
            else:
                plan.append(Activity.GOES_ON if was_awake else Activity.BEGINS)
        return plan

    def _select(self, rows: list[int], begun: set[int]) -> None:
        """Make the batch hold these parts, in this order, those that begin from silence."""
        if rows == self._rows and not begun:
            return
        kept = [self._rows.index(p) if p in self._rows and p not in begun else None for p in rows]
        new = kept.count(None)
        predictor, vocoder = self._predictor, self._vocoder
        self._spectra_state = select_rows(self._spectra_state, predictor.initial_state(new), kept)
        self._sound_state = select_rows(self._sound_state, vocoder.initial_state(new), kept)
        self._rows = rows
        for part in begun:
            self._parts[part].bends = None
            self._mixer.begin(part)

    def _sound(self, windows: list[Window], start: int) -> None:
        """Render some frames of the rows, from the block's frame `start` on, into the mixer."""
        frame = self.frame + start
        roll = torch.from_numpy(np.stack([w.roll for w in windows]))
        embedding = torch.from_numpy(np.stack([w.embedding for w in windows]))
        spectra = self._predictor.step(self._rows, frame, roll, embedding, self._spectra_state)
        for window, spectrum in zip(windows, spectra, strict=True):
            self._bend_keys(window, spectrum)
        draws = self._draws(frame, roll.shape[1])
        samples, self._sound_state = self._vocoder.step(spectra, self._sound_state, draws)
        for window, sound in zip(windows, samples, strict=True):
            self._mixer.add(window.part, sound.numpy(), window.gain, start)

    def _bend_keys(self, window: Window, spectra: torch.Tensor) -> None:
        """Bend a part's spectra (frames, bands) in place, each as its frame was bent."""
        part, count = self._parts[window.part], len(window.bend)
        if part.bends is None:
            part.bends = [float(window.bend[0])] * self.lookahead
        part.bends += window.bend.tolist()
        due, part.bends = part.bends[:count], part.bends[count:]
        if any(due):
            self._bend(spectra.numpy(), np.array(due))

    def _draws(self, frame: int, count: int) -> torch.Tensor:
        """The rows' draws (rows, count, draws_per_frame) from a frame on."""
        width = self._vocoder.draws_per_frame
        draws = np.empty((len(self._rows), count, width), np.float32)
        if width:
            for row, part in enumerate(self._rows):
                for t in range(count):
                    self._random.fill(part, frame + t, draws[row, t])
        return torch.from_numpy(draws)


def _goes_on(now: Activity, later: Activity) -> bool:
    """Whether a later frame needs the same rows as now, with no part starting anew."""
    if later is Activity.BEGINS:
        return False
    return (now is Activity.ASLEEP) == (later is Activity.ASLEEP)
