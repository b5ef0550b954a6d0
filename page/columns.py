"""What the page draws, column by column: mel spectrum, notes and levels of every block.

Made once for all pages, in their thread. One column is one frame of the engine, 8 ms.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from common.window import KEYS, LOWEST_KEY
from page.tap import Instant, Tap
from page.trail import Trail
from synth.mel import FLOOR, Analysis, mel_filters, mel_from_magnitudes, windowed_magnitudes

KEPT = 256
"""Columns that are kept, two seconds."""
LOUDEST = 1.0
"""Log magnitude that is drawn as the brightest, FLOOR's as the darkest."""
SILENT = 1e-5
"""Peak, -100 dB of full scale."""
HEAD = struct.Struct("<dffBBH")
"""Of a column: its number, peaks left and right, flags (1: the limiter works, 2: mel bands follow),
parts that sound, notes."""
LEVEL = struct.Struct("<Bf")
"""Of a part that sounds: its number, with DRIVES if it drives the limiter, and its peak."""
DRIVES = 128
DRIVING = 0.5
"""The share of the loudest part's sound, where the mix is loudest, from which on a part drives the
limiter: -6 dB."""
NOTE = struct.Struct("<BBB")
"""Of a key that was struck or released: part, key, velocity 1..127 or 0."""

Note = tuple[int, int, int]
"""Part, key and velocity, 0 for a release."""


@dataclass(frozen=True, slots=True)
class Column:
    """One frame. number: of the frame; mel: (mels,) uint8, None for silence; peaks: left and right,
    as played; limited: whether the limiter turned it down; levels: part -> peak, before the
    limiter; notes: what began and ended here; drivers: parts to blame where it is limited."""

    number: int
    mel: np.ndarray | None
    peaks: tuple[float, float]
    limited: bool
    levels: dict[int, float]
    notes: list[Note]
    drivers: frozenset[int] = frozenset()

    @property
    def is_blank(self) -> bool:
        """Whether nothing sounds and nothing happens."""
        return self.mel is None and not self.levels and not self.notes

    def packed(self) -> bytes:
        """As bytes: HEAD, LEVELs, NOTEs, then the mel bands if they are not silent."""
        mel = b"" if self.mel is None else self.mel.tobytes()
        flags = int(self.limited) | 2 * bool(mel)
        head = HEAD.pack(self.number, *self.peaks, flags, len(self.levels), len(self.notes))
        levels = b"".join(
            LEVEL.pack(part + DRIVES * (part in self.drivers), level)
            for part, level in self.levels.items()
        )
        return head + levels + b"".join(NOTE.pack(*note) for note in self.notes) + mel


class Columns:
    """Turns the tap's blocks into columns. limit: peak from which the limiter works.

    held: part -> key -> velocity, what sounds now. One thread uses it.
    """

    def __init__(self, tap: Tap, analysis: Analysis, limit: float) -> None:
        self.trail = Trail[Column](KEPT)
        self.held: dict[int, dict[int, int]] = {}
        self._tap, self._analysis, self._limit = tap, analysis, limit
        self._filters = mel_filters(analysis)
        self._past = np.zeros(analysis.window - analysis.hop, np.float32)
        self._silent_for = analysis.window
        self._seen = 0

    def catch_up(self) -> None:
        """Make the columns of all blocks that came since the last call."""
        instants, lost = self._tap.trail.since(self._seen)
        self._seen += lost + len(instants)
        if not instants:
            return
        if lost:
            self._past[:] = 0
        for instant, mel in zip(instants, self._mels(instants), strict=True):
            left, right = np.abs(instant.sound).max(axis=0, initial=0).tolist()
            limited = max(left, right) > self._limit
            column = Column(
                instant.start // self._analysis.hop,
                mel,
                (left, right),
                limited,
                {part: _peak(stems) for part, stems in instant.stems.items()},
                self._notes(instant),
                _drivers(instant) if limited else frozenset(),
            )
            self.trail.add(column)

    def skip(self) -> None:
        """Forget what was: nobody has watched for a while."""
        self._seen = self._tap.trail.count
        self._past[:] = 0
        self._silent_for = self._analysis.window
        self.held = {}

    def _mels(self, instants: list[Instant]) -> list[np.ndarray | None]:
        """The mel bands of each block, 0..255; None where nothing is heard."""
        was_silent = self._silent_for >= self._analysis.window
        if was_silent and not any(instant.sound.any() for instant in instants):
            return [None] * len(instants)
        mono = np.concatenate([instant.sound.mean(axis=1) for instant in instants])
        mono = np.concatenate([self._past, mono])
        self._past = mono[-len(self._past) :]
        hop, window = self._analysis.hop, self._analysis.window
        heard = []
        for i in range(len(instants)):
            block = mono[window - hop + i * hop : window + i * hop]
            quiet = float(np.abs(block).max(initial=0)) < SILENT
            self._silent_for = self._silent_for + hop if quiet else 0
            heard.append(self._silent_for < window)
        if not any(heard):
            return [None] * len(instants)
        with torch.inference_mode():
            framed = torch.from_numpy(mono).unfold(0, window, hop)
            logs = mel_from_magnitudes(windowed_magnitudes(framed), self._filters).numpy()
        dark = np.log(FLOOR)
        levels = np.clip((logs - dark) / (LOUDEST - dark) * 255, 0, 255).astype(np.uint8)
        return [level if h else None for level, h in zip(levels, heard, strict=True)]

    def _notes(self, instant: Instant) -> list[Note]:
        """Keys struck and released in a block, by the rolls."""
        notes = []
        now: dict[int, dict[int, int]] = {}
        for window in instant.windows:
            # A block is one frame; of more, the last one shows what is held.
            sounding, struck = window.roll[-1, :KEYS], window.roll[:, KEYS:].max(axis=0)
            keys = np.flatnonzero(sounding)
            held = self.held.get(window.part, {})
            velocities = np.rint(sounding[keys] * 127).astype(int).tolist()
            sounds = dict(zip((keys + LOWEST_KEY).tolist(), velocities, strict=True))
            if sounds:
                # The other voice of the part may hold keys, too.
                now.setdefault(window.part, {}).update(sounds)
            for key, velocity in sounds.items():
                if key not in held or struck[key - LOWEST_KEY]:
                    notes.append((window.part, key, max(velocity, 1)))
        for part, held in self.held.items():
            still = now.get(part, {})
            notes += [(part, key, 0) for key in held if key not in still]
        self.held = now
        return notes


def _peak(stems: Sequence[np.ndarray]) -> float:
    return max((float(np.abs(stem).max(initial=0)) for stem in stems), default=0.0)


def _drivers(instant: Instant) -> frozenset[int]:
    """The parts that add most to the loudest sample of a block, which is one frame."""
    place = np.unravel_index(np.abs(instant.sound).argmax(), instant.sound.shape)
    sign = np.sign(instant.sound[place])
    stems = instant.stems.items()
    added = {part: sum(float(sign * voice[place]) for voice in voices) for part, voices in stems}
    most = max(added.values(), default=0.0)
    return frozenset(part for part, share in added.items() if share >= DRIVING * most > 0)
