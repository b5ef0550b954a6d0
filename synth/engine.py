"""The engine: windows of all parts in, a stereo block out; the same live and offline.

Each voice of each part is a row. Each frame is decided by itself: which rows sound, which begin
anew, how loud they are. Runs of frames with the same rows go through the networks as one batch,
frame by frame where it matters, so how a stream is cut into blocks cannot change a sample. A row
falls asleep when no key holds it and it cannot be heard any more (ring_out.py), and then costs
nothing. A cut (all sound off) is not part of the music: it ends what sounds when it comes, which
the score had asked for `delay` frames before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np
import torch

from common.window import KEYS, Window, part_of
from synth.bend import PitchBend
from synth.draws import Draws
from synth.limiter import Limiter
from synth.mixer import Mixer
from synth.movement import Movement
from synth.predictor import Predictor
from synth.ring_out import RingOut
from synth.rows import RowState, select_rows
from synth.vocoders.contract import Pitches, Vocoder

PredictorState = TypeVar("PredictorState", bound=RowState)
VocoderState = TypeVar("VocoderState", bound=RowState)


FADE_OUT_FRAMES, FADE_IN_FRAMES = 6, 40
"""How long a part fades that is given up for want of time, 48 ms, and comes back, a third of a
second: then even a struck key that is still held only swells."""
NEW_FRAMES = 12
"""A part younger than this is given up last: its sound has hardly begun."""


@dataclass(slots=True)
class _RowMoment:
    """A row between blocks. ring_out: None while it is asleep; begun: the frame at which it woke;
    share: of its sound that is heard, and more: what is added to that in each frame; bends (n,)
    semitones and held (n, 88) bool: of the frames that have no spectrum yet, oldest first, None
    before the first."""

    ring_out: RingOut | None = None
    begun: int = 0
    share: float = 1.0
    more: float = 0.0
    bends: np.ndarray | None = None
    held: np.ndarray | None = None


class Engine(Generic[PredictorState, VocoderState]):
    """Renders blocks; only the thread that renders may touch it.

    ring_out: frames after its last key that a row may still sound at most. seed: of the uniform
    draws, which depend on seed, part and frame alone; ValueError unless in 0..2^64 - 1.
    centres: Hz of the bands of the predictor's spectra, by which they can be bent. limiter: what
    the mix goes through, one of its own if None is given.
    `delay` is how many frames the sound runs behind the score, `lookahead` the predictor's
    share; `frame` is the next one to be rendered; `awake` how many parts sounded in the last block.

    Where time is short, `spared` lets the vocoder leave out its costly part, and parts can be given
    up. Sounds then depend on the machine: only a live player does so.
    """

    def __init__(
        self,
        predictor: Predictor[PredictorState],
        vocoder: Vocoder[VocoderState],
        ring_out: int,
        seed: int,
        centres: np.ndarray,
        limiter: Limiter | None = None,
    ) -> None:
        self.hop = vocoder.hop
        self.lookahead = predictor.lookahead
        self.delay = predictor.lookahead + vocoder.lookahead
        self.frame = 0
        self.awake = 0
        self.spared = False
        self._predictor, self._vocoder, self._random = predictor, vocoder, Draws(seed)
        self._bend = PitchBend(centres)
        self._movement = Movement(len(centres) if predictor.moves else 0)
        self.limiter = Limiter() if limiter is None else limiter
        self._mixer = Mixer(self.hop, self.delay, self.limiter)
        # One more: the last frame of the ring-out is still to be heard.
        self._longest = ring_out + self.delay + 1
        self._moments: dict[int, _RowMoment] = {}
        self._given_up: list[int] = []
        self._rows: list[int] = []
        self._spectra_state = predictor.initial_state(0)
        self._moved_state = self._movement.initial_state(0)
        self._sound_state = vocoder.initial_state(0)

    @property
    def stems(self) -> Mapping[int, Sequence[np.ndarray]]:
        """Part -> what it added to the last block before the limiter, frame by frame, (hop, 2)."""
        return self._mixer.stems

    @property
    def can_be_spared(self) -> bool:
        """Whether the vocoder has a costly part that it can leave out."""
        return hasattr(self._vocoder, "step_spared")

    @property
    def given_up(self) -> Sequence[int]:
        """The parts that have been given up, the last one at the end."""
        return tuple(self._given_up)

    def give_up(self) -> int | None:
        """Let the part fade that is heard least, and be silent until it is taken back. Which it is;
        None if all are given up.

        The quietest in the last block, of those that have sounded for a moment; of several the
        oldest.
        """
        begun: dict[int, int] = {}
        for row, moment in self._moments.items():
            part = part_of(row)
            if moment.ring_out and part not in self._given_up:
                begun[part] = max(begun.get(part, 0), moment.begun)
        if not begun:
            return None

        def worth(part: int) -> tuple[bool, float, int]:
            stems = self.stems.get(part, ())
            peak = max((float(np.abs(stem).max()) for stem in stems), default=0.0)
            return self.frame - begun[part] < NEW_FRAMES, peak, begun[part]

        least = min(begun, key=worth)
        self._given_up.append(least)
        self._fade(least, -1 / FADE_OUT_FRAMES)
        return least

    def take_back(self) -> int | None:
        """Let the part that was given up last sound again, with the keys that are held by then.
        Which it is; None if there is none."""
        if not self._given_up:
            return None
        part = self._given_up.pop()
        self._fade(part, 1 / FADE_IN_FRAMES)
        return part

    def _fade(self, part: int, more: float) -> None:
        """Add so much to the share of a part that is heard, in each frame from now on."""
        for row, moment in self._moments.items():
            if part_of(row) == part:
                moment.more = more

    @torch.inference_mode()
    def render(self, windows: Sequence[Window], frames: int) -> np.ndarray:
        """The next block: (frames * hop, 2), float32, as the limiter leaves it.

        windows: one for each voice that may sound, all `frames` long, by part and voice.
        """
        self._mixer.open(frames)
        awake: set[int] = set()
        sounding = _sounding(windows, frames)
        for start, stop in pairwise(_turns(windows, sounding)):
            begun = {
                window.row
                for window, keys in zip(windows, sounding, strict=True)
                if self._begins(window, start, bool(keys[start]))
            }
            spans = [
                (window.span(start, stop - start), keys[start:stop])
                for window, keys in zip(windows, sounding, strict=True)
                if self._moments[window.row].ring_out
            ]
            rows = [window.row for window, _ in spans]
            if rows:
                self._select(rows, begun)
                self._sound(spans, start)
                awake.update(map(part_of, rows))
        self.awake = len(awake)
        self.frame += frames
        return self._mixer.close()

    def _begins(self, window: Window, frame: int, sounding: bool) -> bool:
        """Whether a row wakes at a frame. If it does not, it may fall asleep there.

        sounding: whether a key sounds in that frame.
        """
        moment = self._moments.setdefault(window.row, _RowMoment())
        gone = moment.more < 0 and not moment.share
        ends = gone or window.cut[frame]
        if moment.ring_out and (ends or not moment.ring_out.goes_on(sounding)):
            self._fall_asleep(window.row, frame)
        if moment.ring_out or not sounding or window.part in self._given_up:
            return False
        moment.ring_out = RingOut(self.delay, self._longest)
        moment.begun = self.frame + frame
        if moment.more and not window.roll[frame, KEYS:].any():
            # It was given up while these keys were struck: they are struck again, unheard.
            window.roll[frame, KEYS:] = window.roll[frame, :KEYS]
            moment.share = 0.0
        else:
            moment.share, moment.more = 1.0, 0.0
        return True

    def _fall_asleep(self, row: int, frame: int) -> None:
        self._moments[row].ring_out = None
        self._mixer.fade_out(row, frame)

    def _select(self, rows: list[int], begun: set[int]) -> None:
        """Make the batch hold these rows, in this order, those that begin from silence."""
        if rows == self._rows and not begun:
            return
        kept = [self._rows.index(r) if r in self._rows and r not in begun else None for r in rows]
        new = kept.count(None)
        predictor, movement, vocoder = self._predictor, self._movement, self._vocoder
        self._spectra_state = select_rows(self._spectra_state, predictor.initial_state(new), kept)
        self._moved_state = select_rows(self._moved_state, movement.initial_state(new), kept)
        self._sound_state = select_rows(self._sound_state, vocoder.initial_state(new), kept)
        self._rows = rows
        for row in begun:
            self._moments[row].bends = self._moments[row].held = None
            self._mixer.begin(row)

    def _sound(self, spans: list[tuple[Window, np.ndarray]], start: int) -> None:
        """Render some frames of the rows, from the block's frame `start` on, into the mixer.

        spans: of each row its window, and whether a key sounds in each frame.
        """
        frame, windows = self.frame + start, [window for window, _ in spans]
        roll = torch.from_numpy(np.stack([w.roll for w in windows]))
        embedding = torch.from_numpy(np.stack([w.embedding for w in windows]))
        late = torch.from_numpy(np.stack([w.lateness for w in windows]))
        told = self._predictor.step(self._rows, frame, roll, embedding, self._spectra_state, late)
        spectra = told.spectra
        pitches = self._pitches(windows)
        bends = pitches.bend.numpy()
        if bends.any():
            for spectrum, bend in zip(spectra.numpy(), bends, strict=True):
                self._bend(spectrum, bend)
        widths = [self._vocoder.draws_per_frame, self._movement.draws_per_frame]
        draws, moves = self._draws(frame, roll.shape[1], sum(widths)).split(widths, -1)
        if told.spread is not None and told.memory is not None:
            spectra, self._moved_state = self._movement.step(
                spectra, told.spread, told.memory, self._moved_state, moves
            )
        step = self._vocoder.step
        if self.spared:
            step = getattr(self._vocoder, "step_spared", step)
        samples, self._sound_state = step(spectra, self._sound_state, draws, pitches)
        for (window, sounding), sound in zip(spans, samples.numpy(), strict=True):
            self._mix(window, sounding, sound, start)

    def _mix(self, window: Window, sounding: np.ndarray, sound: np.ndarray, start: int) -> None:
        """Add a row's sound, as far as it goes before the row falls asleep, if it does."""
        moment = self._moments[window.row]
        assert moment.ring_out is not None
        heard = moment.ring_out.heard(sounding, sound.reshape(-1, self.hop))
        sound = sound[: heard * self.hop]
        if moment.more:
            sound = self._faded(moment, sound)
        self._mixer.add(window.row, sound, window.gain[:heard], start)
        if heard < len(window.roll):
            self._fall_asleep(window.row, start + heard)

    def _faded(self, moment: _RowMoment, sound: np.ndarray) -> np.ndarray:
        """The sound of a row that fades out or in."""
        way = moment.share + moment.more * np.arange(1, len(sound) + 1, dtype=np.float32) / self.hop
        moment.share = min(max(float(way[-1]), 0.0), 1.0) if len(way) else moment.share
        if moment.more < 0 and moment.share < 0.5 / FADE_OUT_FRAMES:
            moment.share = 0.0
        if moment.share == 1.0:
            moment.more = 0.0
        return sound * way.clip(0, 1)

    def _pitches(self, windows: list[Window]) -> Pitches:
        """What keys do in the frames whose spectra are due: as late as the predictor's sound."""
        if not self.lookahead:
            keys = np.stack([window.roll[:, :KEYS] for window in windows]) > 0
            now = np.stack([window.bend for window in windows])
            return Pitches(torch.from_numpy(keys), torch.from_numpy(now))
        held, bends = [], []
        for window in windows:
            moment, count = self._moments[window.row], len(window.bend)
            if moment.bends is None or moment.held is None:
                moment.bends = np.repeat(window.bend[:1], self.lookahead)
                moment.held = np.zeros((self.lookahead, KEYS), bool)
            both = np.concatenate([moment.bends, window.bend])
            keys = np.concatenate([moment.held, window.roll[:, :KEYS] > 0])
            bends.append(both[:count])
            held.append(keys[:count])
            moment.bends, moment.held = both[count:], keys[count:]
        return Pitches(torch.from_numpy(np.stack(held)), torch.from_numpy(np.stack(bends)))

    def _draws(self, frame: int, count: int, width: int) -> torch.Tensor:
        """The rows' draws (rows, count, width) from a frame on."""
        draws = np.empty((len(self._rows), count, width), np.float32)
        if width:
            for place, row in enumerate(self._rows):
                for t in range(count):
                    self._random.fill(part_of(row), frame + t, draws[place, t])
        return torch.from_numpy(draws)


def _turns(windows: Sequence[Window], sounding: np.ndarray) -> list[int]:
    """The frames of a block at which a row may begin anew, and both ends of the block."""
    frames = sounding.shape[1]
    turns = {0, frames}
    for window, keys in zip(windows, sounding, strict=True) if frames > 1 else ():
        begins = keys[1:] & ~keys[:-1] | window.cut[1:]
        turns.update((np.flatnonzero(begins) + 1).tolist())
    return sorted(turns)


def _sounding(windows: Sequence[Window], frames: int) -> np.ndarray:
    """Whether a key sounds in each frame of each window: (windows, frames) bool."""
    if not windows:
        return np.zeros((0, frames), bool)
    return np.stack([window.roll for window in windows]).max(axis=2) > 0
