"""Between the patches: does loudness stay between that of its ends?

A short phrase (a middle C, then a C major chord; `embedding.PHRASE`) is played on the line
between two patches, at 0, 1/4, 1/2, 3/4 and 1 of the way, gain and knobs mixed as the mod wheel
mixes them; of up to ten patches on all lines between two of them, of more on 45 lines spread
over all there are. Then at the middle of the map (the mean of all patches) and at 16 points drawn
at random (seed 0), each somewhere in the triangle of three patches.

Loudness is the phrase's mean power, K-weighted, in dB of full scale; not gated, so that what
drones on counts. Asked: on a line between its ends' within 2 dB, elsewhere between the quietest
and the loudest patch's within 2 dB; every peak below 0.9 (at its patches' own gain and pan,
before the limiter). A line's row tells of its point that is furthest off; a patch's, of the
highest peak on any line from or to it.

Evenness is what `python -m benchmarks embedding` calls pooled: the same lines in 11 points,
without a vocoder, and |net change| over total variation, each summed over all lines, of the
spectral centroid (in octaves) and of the energy (dB). It is 1 when no line ever turns back.
Asked: 0.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmarks.measures import embedding
from benchmarks.measures.play.findings import Finding
from benchmarks.measures.play.scores import Strike
from benchmarks.measures.play.stage import LOUD_HEADROOM_DB, Stage
from common.loudness import decibels, k_weighted, level_db
from daw_bridge.windows import stereo_gain

AMOUNTS = np.array([0, 0.25, 0.5, 0.75, 1])
MOST_LINES = 45
ANYWHERE = 16
SEED = 0
WITHIN_DB, PEAK, EVEN = 2.0, 0.9, 0.9
TAIL_S = 0.3


@dataclass(frozen=True, slots=True)
class Line:
    """A way from one patch to another: loudness in dB and peaks at `AMOUNTS`, (5,) each."""

    start: str
    end: str
    loudness: np.ndarray
    peaks: np.ndarray

    @property
    def name(self) -> str:
        return f"{self.start} - {self.end}"

    @property
    def off_db(self) -> np.ndarray:
        """How far each point lies outside its ends' loudness: (5,), 0 within."""
        ends = self.loudness[[0, -1]]
        return outside(self.loudness, ends.min(), ends.max())


def listen(stage: Stage) -> tuple[list[Line], list[Finding]]:
    """All lines as they were heard, and the findings of this section.

    Raises ValueError for a bank of which fewer than two patches can be played.
    """
    names = stage.patches
    if len(names) < 2:
        raise ValueError(f"{stage.bank.path}: has a single patch to play; a morph needs two")
    pairs = list(combinations(range(len(names)), 2))
    spread = np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_LINES)).round().astype(int)
    pairs = [pairs[i] for i in spread]
    ends = np.eye(len(names))
    inner = [(1 - t) * ends[a] + t * ends[b] for a, b in pairs for t in AMOUNTS[1:-1]]
    elsewhere = [np.full(len(names), 1 / len(names)), *_anywhere(len(names))]
    loud, peak = _hear(stage, [*ends, *inner, *elsewhere])
    lines = []
    for number, (a, b) in enumerate(pairs):
        at = len(names) + number * (len(AMOUNTS) - 2)
        points = [a, *range(at, at + len(AMOUNTS) - 2), b]
        lines.append(Line(names[a], names[b], loud[points], peak[points]))
    found = [_of_line(line) for line in lines]
    bounds = float(loud[: len(names)].min()), float(loud[: len(names)].max())
    at = len(names) + len(inner)
    for number in range(len(elsewhere)):
        name = f"point {number}" if number else "middle of the map"
        found.append(_loudness("between", name, float(loud[at + number]), *bounds))
    for name in names:
        highest = max(
            (float(line.peaks.max()) for line in lines if name in (line.start, line.end)),
            default=None,
        )
        if highest is not None:
            found.append(_peak(name, "lines from and to it", highest))
    found.append(_peak("between", "points", float(peak[at:].max())))
    return lines, [*found, *_evenness(stage, pairs)]


def outside(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """How far values lie outside low..high, 0 within.

    >>> outside(np.array([-3.0, 0.0, 5.0]), -1.0, 1.0).tolist()
    [2.0, 0.0, 4.0]
    """
    return np.maximum(np.maximum(low - values, values - high), 0)


def _of_line(line: Line) -> Finding:
    worst = 1 + int(line.off_db[1:-1].argmax())
    low, high = sorted(line.loudness[[0, -1]])
    return _loudness(line.name, f"at {AMOUNTS[worst]:.2f}", float(line.loudness[worst]), low, high)


def _loudness(patch: str, played: str, loudness: float, low: float, high: float) -> Finding:
    asked = f"{low - WITHIN_DB:.1f} .. {high + WITHIN_DB:.1f}"
    miss = float(outside(np.array(loudness), low, high)) / WITHIN_DB
    return Finding("morph", patch, played, "loudness, dB", loudness, None, asked, miss)


def _peak(patch: str, played: str, peak: float) -> Finding:
    miss = 1 + float(decibels(peak / PEAK)) / WITHIN_DB
    return Finding("morph", patch, played, "peak", peak, None, f"< {PEAK:g}", miss)


def _anywhere(count: int) -> list[np.ndarray]:
    """Shares of each patch (count,) at random points, each between three of them."""
    random = np.random.default_rng(SEED)
    points = []
    for _ in range(ANYWHERE):
        shares = np.zeros(count)
        chosen = random.choice(count, min(3, count), replace=False)
        shares[chosen] = random.dirichlet(np.ones(len(chosen)))
        points.append(shares)
    return points


def _hear(stage: Stage, points: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Loudness and peak of the phrase at mixtures of patches, each (patches,) shares."""
    places = np.array([stage.places[name] for name in stage.patches])
    patches = [stage.bank.patch(name) for name in stage.patches]
    gains_db = np.array([patch.gain_db for patch in patches])
    pans = np.array([patch.pan for patch in patches])
    strikes: list[Strike] = [
        (onset, release, key, embedding.VELOCITY)
        for onset, release, keys in embedding.PHRASE
        for key in keys
    ]
    mixed = [tuple((shares @ places).tolist()) for shares in points]
    seconds = embedding.PHRASE_S + TAIL_S
    takes = stage.ours.play_each(mixed, strikes, seconds, LOUD_HEADROOM_DB)
    loud, peak = [], []
    for shares, take in zip(points, takes, strict=True):
        gain_db, pan = float(shares @ gains_db), float(shares @ pans)
        loud.append(level_db(k_weighted(take, stage.ours.rate)) + gain_db)
        peak.append(float(np.abs(take).max() * stereo_gain(gain_db, pan).max()))
    return np.array(loud), np.array(peak)


def _evenness(stage: Stage, pairs: Sequence[tuple[int, int]]) -> list[Finding]:
    places = np.array([stage.places[name] for name in stage.patches])
    amounts = np.linspace(0, 1, embedding.POINTS)[:, None]
    lines = [(1 - amounts) * places[a] + amounts * places[b] for a, b in pairs]
    centroid, energy = embedding.hear(
        stage.ours.instrument.mel2mel, np.concatenate(lines), "morphs"
    )
    found = []
    for name, values in (("centroid", np.log2(centroid)), ("energy", energy)):
        paths = values.reshape(-1, embedding.POINTS)
        net = np.abs(paths[:, -1] - paths[:, 0]).sum()
        even = float(net / max(np.abs(np.diff(paths)).sum(), 1e-12))
        miss = 1 + (EVEN - even) / (1 - EVEN)
        asked = f"> {EVEN:g}"
        found.append(Finding("evenness", "all", "morphs", name, even, None, asked, miss))
    return found
