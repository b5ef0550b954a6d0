"""The two players: a bank's patch through the whole engine, and the renderer it was learnt from.

Both play the same notes at the level of the bank's data: the original is FluidSynth with the
bank's program and gain, ours a patch at 0 dB before its own gain, mono. Sound leaves the
engine turned down by `headroom_db` and is turned up again here, so that its limiter hides
no peak.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Interval

from benchmarks.measures.embedding import embedding
from benchmarks.measures.play.scores import PART, Strike, events
from common.documents import fit
from daw_bridge.events import AllSoundOff, Event, Level, Timbre
from daw_bridge.windows import Windows
from synth.bank.bank import Bank
from synth.instrument import Instrument
from trainer.data.fluidsynth import RENDER_RATE, FluidSynth

LEAD_IN_S = 0.2
"""Silence before the first note, for networks that look ahead and vocoders that sound early."""
HEADROOM_DB = 12.0
LOUD_HEADROOM_DB = 48.0
"""For chords, and for what lies between patches, where anything may come."""
BLOCK_FRAMES = 32
SOUNDFONT_FOLDERS = (Path("/usr/share/sounds/sf3"), Path("/usr/share/sounds/sf2"))
"""Where Linux distributions keep SoundFonts."""
FOLDERS_TOLD = ", ".join(map(str, SOUNDFONT_FOLDERS))


@dataclass(frozen=True, slots=True)
class Pair:
    """The same notes twice: ours, original (samples,) float32, from the score's second 0 on."""

    ours: np.ndarray
    original: np.ndarray
    rate: int

    def cut(self, start_s: float, stop_s: float) -> Pair:
        """A stretch of both, from start_s to stop_s seconds."""
        span = slice(round(start_s * self.rate), round(stop_s * self.rate))
        return Pair(self.ours[span], self.original[span], self.rate)


class Ours:
    """A bank at any point of its embedding space. lookahead: in frames."""

    def __init__(self, instrument: Instrument, lookahead: int = 0) -> None:
        self.instrument, self.bank = instrument, instrument.bank
        self.rate = self.bank.analysis.rate
        self._lookahead = lookahead

    def play_each(
        self,
        points: Sequence[tuple[float, ...]],
        strikes: Sequence[Strike],
        seconds: float,
        headroom_db: float = HEADROOM_DB,
    ) -> np.ndarray:
        """The same strikes at each point, each take from silence: (points, samples).

        A take is `LEAD_IN_S` of silence and then so many seconds of the score.
        """
        hop, frame_rate = self.bank.analysis.hop, self.bank.analysis.frame_rate
        count = round((LEAD_IN_S + seconds) * frame_rate)
        # All sound off ends at once what is heard, which runs behind the score by a delay.
        stride = count + self._lookahead + self.instrument.vocoder.lookahead + 1
        score: list[Event] = []
        plain = self.bank.amounts({})
        for i, point in enumerate(points):
            start = i * stride * hop
            # Nothing of the take before may sound, nor the networks remember it.
            score += [AllSoundOff(start, PART), Timbre(start, PART, point + plain)]
            score.append(Level(start, PART, -headroom_db, -1.0))
            score += events(strikes, self.rate, LEAD_IN_S + start / self.rate)
        # What is turned down reaches no limiter; turned hard left, it is all in one channel.
        sound = self._render(score, len(points) * stride) * np.float32(10 ** (headroom_db / 20))
        takes = sound.reshape(len(points), stride * hop)
        return takes[:, : round((LEAD_IN_S + seconds) * self.rate)]

    def _render(self, score: list[Event], frames: int) -> np.ndarray:
        """The left channel of a score's first frames, aligned with it: (frames * hop,)."""
        hop, engine = self.bank.analysis.hop, self.instrument.engine(self._lookahead)
        windows = Windows(hop, self.bank.point(self.bank.names[0]))
        blocks, frame, waiting = [], 0, 0
        # As a bounce is aligned: tones are half a frame behind the engine's.
        early, last = engine.delay * hop + hop // 2, frames + engine.delay + 1
        while frame < last:
            count = min(BLOCK_FRAMES, last - frame)
            first, end = waiting, (frame + count) * hop
            while waiting < len(score) and score[waiting].time < end:
                waiting += 1
            now = windows.frames(score[first:waiting], frame, count)
            blocks.append(engine.render(now, count)[:, 0])
            frame += count
        return np.concatenate(blocks)[early:][: frames * hop]


@dataclass(frozen=True, slots=True)
class Made:
    """How a bank's data was made, as far as its `about: data` must say it.

    programs: patch -> General MIDI program; gains_db: patch -> gain over FluidSynth's.
    """

    programs: dict[str, Annotated[int, Interval(ge=0, le=127)]]
    gains_db: dict[str, Annotated[float, Interval(ge=-60, le=60)]]
    rendered_at: Annotated[int, Interval(ge=8_000, le=96_000)] | None = None
    soundfont: str = ""
    soundfont_sha256: str | None = None
    fluidsynth: str | None = None


class Original:
    """FluidSynth as it made the bank's data.

    soundfont: None to look for the bank's own; patches: those that are wanted, None for all it
    can play. Raises ValueError where the bank does not say how its data was made, or the
    SoundFont is not that one.
    """

    def __init__(
        self,
        bank: Bank,
        soundfont: Path | None = None,
        patches: Sequence[str] | None = None,
    ) -> None:
        self.rate = bank.analysis.rate
        self._made = made = _made(bank)
        soundfont = soundfont or _found(bank, made.soundfont)
        self._synth = FluidSynth(soundfont, made.rendered_at or max(self.rate, RENDER_RATE))
        sha256 = hashlib.sha256(soundfont.read_bytes()).hexdigest()
        if made.soundfont_sha256 not in (None, sha256):
            raise ValueError(
                f"--soundfont {soundfont}: expected the one that {bank.path} was made with "
                f"({made.soundfont}, sha256 {made.soundfont_sha256}), got sha256 {sha256}"
            )
        if made.fluidsynth not in (None, self._synth.version):
            print(
                f"FluidSynth {self._synth.version} is not the {made.fluidsynth} that {bank.path} "
                "was made with; the original's levels may differ",
                file=sys.stderr,
            )
        known = [name for name in bank.names if name in made.programs]
        for name in patches or ():
            if name not in known:
                raise ValueError(f"--patches: expected some of {', '.join(known)}, got {name!r}")
        self.patches = [name for name in known if not patches or name in patches]

    def play(self, patch: str, strikes: Sequence[Strike], seconds: float) -> np.ndarray:
        """Strikes by a patch's program, as a take of `Ours.play_each`: (samples,)."""
        gain = np.float32(10 ** (self._made.gains_db[patch] / 20))
        score = events(strikes, self.rate, LEAD_IN_S)
        length = LEAD_IN_S + seconds
        return gain * self._synth.render(score, self._made.programs[patch], self.rate, length)


@dataclass(frozen=True)
class Stage:
    """Both players, and where a bank's patches stand."""

    ours: Ours
    original: Original

    @property
    def bank(self) -> Bank:
        return self.ours.bank

    @property
    def patches(self) -> list[str]:
        """Those that both can play, in the bank's order."""
        return self.original.patches

    @cached_property
    def places(self) -> dict[str, tuple[float, ...]]:
        """Patch -> the point it plays at, its own knobs turned."""
        return {name: embedding(self.bank, name) for name in self.patches}

    def pair(
        self,
        patch: str,
        strikes: Sequence[Strike],
        seconds: float,
        headroom_db: float = HEADROOM_DB,
    ) -> Pair:
        """The same strikes by both, from second 0 on."""
        (ours,) = self.ours.play_each([self.places[patch]], strikes, seconds, headroom_db)
        original = self.original.play(patch, strikes, seconds)
        before = round(LEAD_IN_S * self.ours.rate)
        return Pair(ours[before:], original[before:], self.ours.rate)


def _made(bank: Bank) -> Made:
    where = f"{bank.path / 'bank.yaml'}: about: data"
    told = bank.about.get("data")
    told = told if isinstance(told, dict) else {}
    made = fit(where, {f.name: told[f.name] for f in fields(Made) if f.name in told}, Made)
    for name in made.programs:
        if name not in made.gains_db:
            raise ValueError(f"{where}: gains_db: {name} is missing; programs has it")
    if not set(bank.names) & set(made.programs):
        raise ValueError(
            f"{where}: programs: expected patches of the bank ({', '.join(bank.names)}), "
            f"got {', '.join(made.programs) or 'none'}"
        )
    return made


def _found(bank: Bank, name: str) -> Path:
    """The SoundFont of that name on this machine."""
    # Of a bank's text only the last part is used: it shall not reach into other folders.
    found = [folder / Path(name).name for folder in SOUNDFONT_FOLDERS if Path(name).name]
    for path in found:
        if path.is_file():
            return path
    raise ValueError(
        f"--soundfont: expected a file, because {bank.path} was made with {name or 'no name'}, "
        f"which is in none of {FOLDERS_TOLD}"
    )
