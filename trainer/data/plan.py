"""What a data set is made of: the plan that `trainer render` is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval
from tyro.conf import arg

from common.flags import Minutes, Positive, Seed, Share, worded
from trainer.data.programs import KEYS, PROGRAM_KEYS, PROGRAMS
from trainer.data.words import (
    KeyRange,
    read_gains,
    read_key_range,
    read_program_keys,
    read_programs,
    read_releases,
    show,
    show_gains,
    show_key_range,
    show_program_keys,
)

SOUNDFONT = Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")
FRAME_S = 0.008
"""One hop, at any rate."""
RENDER_RATE = 48_000
"""Rendered here and resampled down: at 16 kHz FluidSynth's interpolation dulls the top octave."""
KEYS_ALONE = "keys"
"""Folder of excerpts that are one key each, from which templates begin."""
LET_GO = "let-go"
"""Folder of excerpts that are one short note each, by which the same templates know what becomes of
a tone whose key is let go."""
LEAST_KEY_S = 0.5
"""A shorter tone does not tell how it fades."""
MINUTES = 60.0
"""Of training music for each instrument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderPlan:
    """What a data set is made of, and how."""

    midi: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of MIDI files: those that its manifest.csv lists, or all in it and below."""
    soundfont: Annotated[Path, arg(metavar="FILE")] = SOUNDFONT
    """SoundFont that plays them."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("runs/data")
    """Folder of the data set."""
    programs: Annotated[
        Mapping[str, int],
        worded(read_programs, show, "NAME=PROGRAM ... or FILE.yaml"),
        arg(help_behavior_hint="(default: the method's ten)"),
    ] = field(default_factory=PROGRAMS.copy)
    """Instruments by name, with their General MIDI programs, or one YAML file of such."""
    minutes: Annotated[
        Positive | None,
        arg(metavar="MINUTES", help_behavior_hint=f"(default: {MINUTES:g})"),
    ] = None
    """Training music for each instrument."""
    hours: Annotated[
        Positive | None,
        arg(metavar="HOURS", help_behavior_hint="(default: 1 for each instrument)"),
    ] = None
    """Training music for all instruments together, instead of --minutes."""
    val_minutes: Minutes = 2.0
    """Held-out music for each instrument."""
    test_pieces: Annotated[int, Interval(ge=0), arg(metavar="N")] = 14
    """Pieces to test with, a minute of each with every instrument."""
    val_fraction: Annotated[float, Interval(ge=0, le=0.5), arg(metavar="SHARE")] = 0.05
    """Share of the files held out, 0 to 0.5, where there is no manifest.csv."""
    test_fraction: Annotated[float, Interval(ge=0, le=0.5), arg(metavar="SHARE")] = 0.05
    """Share of the files to test with, 0 to 0.5, where there is no manifest.csv."""
    etudes: Share = 0.25
    """Share of generated etudes in the training music, 0 to 1."""
    seconds: Annotated[Positive, Interval(ge=2), arg(metavar="SECONDS")] = 20.0
    """Length of an excerpt with its release, 2 or more."""
    keys: Annotated[KeyRange, worded(read_key_range, show_key_range, "LOW-HIGH", 1)] = KEYS
    """The lowest and the highest key to play; others are left out."""
    program_keys: Annotated[
        Mapping[int, KeyRange],
        worded(read_program_keys, show_program_keys, "PROGRAM=LOW-HIGH ..."),
    ] = field(default_factory=PROGRAM_KEYS.copy)
    """Keys that single programs sound; others are left out."""
    release: Annotated[
        Mapping[int | None, float],
        worded(read_releases, show, "[PROGRAM=]SECONDS ..."),
    ] = field(default_factory=lambda: read_releases([]))
    """Sound kept after the last note, of all programs and of single ones that ring longer."""
    key_seconds: Annotated[Positive, arg(metavar="SECONDS")] = 13.0
    """Hold each key alone for so long; templates begin with these excerpts. 0 for none, else 0.5 or
    more."""
    rate: Literal[16_000, 48_000] = 16_000
    """Samples a second. A frame is 8 ms at both: 128 or 384 samples."""
    direct: bool = False
    """Render at that rate itself, not at 48000: faster, but the top octave is duller."""
    gains: Annotated[
        Mapping[str, float] | None,
        worded(read_gains, show_gains, "FILE.yaml", 1),
        arg(help_behavior_hint="(default: measured, so that the loudest sample is at 0.9)"),
    ] = None
    """YAML file of the gain of each instrument in decibels."""
    seed: Seed = 0
    """Random seed. Another one chooses other excerpts."""

    def check(self) -> None:
        """Raises ValueError for a length of music that is stated twice, or keys too short to
        measure."""
        if self.hours is not None and self.minutes is not None:
            raise ValueError("--hours: expected alone, got --minutes too")
        if 0 < self.key_seconds < LEAST_KEY_S:
            raise ValueError(
                f"--key-seconds: expected 0 or at least {LEAST_KEY_S}, got {self.key_seconds:g}"
            )

    @property
    def train_minutes(self) -> float:
        """Training music for each instrument."""
        if self.hours is not None:
            return self.hours * 60 / len(self.programs)
        return MINUTES if self.minutes is None else self.minutes

    @property
    def hop(self) -> int:
        """Samples of the data set in a frame: 128 at 16 kHz, 384 at 48 kHz."""
        return round(self.rate * FRAME_S)

    @property
    def render_rate(self) -> int:
        """Samples a second before any resampling."""
        return self.rate if self.direct else max(self.rate, RENDER_RATE)

    def keys_of(self, program: int) -> tuple[int, int]:
        """Lowest and highest key that a program plays. ValueError if it is left with none."""
        low, high = self.program_keys.get(program, self.keys)
        low, high = max(low, self.keys[0]), min(high, self.keys[1])
        if low > high:
            raise ValueError(
                f"--keys {self.keys[0]}-{self.keys[1]}: leaves no key to program {program}"
            )
        return low, high

    def release_of(self, program: int) -> float:
        """Seconds kept after a program's last note."""
        return self.release.get(program, self.release[None])
