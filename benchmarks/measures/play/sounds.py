"""Everything that one patch plays, twice, each made when it is first asked for."""

from __future__ import annotations

from functools import cached_property

from benchmarks.measures.play import scores
from benchmarks.measures.play.stage import LOUD_HEADROOM_DB, Pair, Stage


class Sounds:
    """One patch's notes by both players."""

    def __init__(self, stage: Stage, patch: str) -> None:
        self.stage, self.patch = stage, patch

    @cached_property
    def held(self) -> dict[int, Pair]:
        """Key -> 12 s of it, and what comes after."""
        seconds = scores.HELD_S + scores.RELEASE_S
        return {key: self._pair(scores.held(key), seconds) for key in scores.HELD_KEYS}

    @cached_property
    def bass(self) -> dict[int, Pair]:
        """Low key -> the beginning of its note."""
        return {key: self._pair(scores.bass(key), scores.BASS_S) for key in scores.BASS_KEYS}

    @cached_property
    def phrase(self) -> Pair:
        """Some music."""
        return self._pair(scores.phrase(), scores.PHRASE_S)

    @cached_property
    def chord(self) -> Pair:
        """Ten notes at velocity 127."""
        return self._chord(scores.CHORD, 127)

    @cached_property
    def handful(self) -> Pair:
        """Six notes at velocity 110."""
        return self._chord(scores.HANDFUL, 110)

    @cached_property
    def dynamics(self) -> dict[int, Pair]:
        """Velocity -> three notes."""
        seconds = scores.DYNAMIC_STEP_S * len(scores.DYNAMIC_KEYS)
        return {v: self._pair(scores.dynamics(v), seconds) for v in scores.VELOCITIES}

    def _chord(self, keys: tuple[int, ...], velocity: int) -> Pair:
        strikes = scores.chord(keys, velocity)
        return self.stage.pair(self.patch, strikes, scores.CHORD_S, LOUD_HEADROOM_DB)

    def _pair(self, strikes: list[scores.Strike], seconds: float) -> Pair:
        return self.stage.pair(self.patch, strikes, seconds)
