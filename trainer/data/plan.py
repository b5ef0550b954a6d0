"""What a data set shall hold: a recipe, and the list of excerpts that follows from it alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from trainer.data.fluidsynth import RENDER_RATE
from trainer.data.programs import KEYS, PROGRAM_KEYS, PROGRAM_RELEASE_S, RELEASE_S
from trainer.data.score import KEY_ONSET_S

FRAME_S = 0.008
"""One hop, at any rate."""
TEST_S = 60.0
"""Of each test piece, from its start."""
KEYS_ALONE = "keys"
"""Folder of excerpts that are one key each, from which templates begin."""
TURNS = {KEYS_ALONE: 0, "train": 1, "val": 1, "test": 2}
"""Split -> when it is made."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to render.

    programs: patch name -> General MIDI program; train_minutes, val_minutes: of each program;
    etude_share: of the training music, 0..1; seconds: length of an excerpt, release included;
    rate: of the data set; direct: render at that rate instead of 48 kHz; keys: the lowest and
    the highest; program_keys: the same for single programs; release_s, program_release_s:
    sound kept after the last note; key_s: how long each key alone is held, 0 for no such
    excerpts; test_pieces: at most; val_fraction, test_fraction: of a
    corpus without a manifest.csv; gains_db: patch name -> gain, None to calibrate.
    """

    midi: Path
    soundfont: Path
    out: Path
    programs: Mapping[str, int]
    train_minutes: float = 40.0
    val_minutes: float = 2.0
    test_pieces: int = 14
    val_fraction: float = 0.05
    test_fraction: float = 0.05
    etude_share: float = 0.25
    seconds: float = 20.0
    rate: int = 16_000
    direct: bool = False
    keys: tuple[int, int] = KEYS
    program_keys: Mapping[int, tuple[int, int]] = field(default_factory=PROGRAM_KEYS.copy)
    release_s: float = RELEASE_S
    program_release_s: Mapping[int, float] = field(default_factory=PROGRAM_RELEASE_S.copy)
    key_s: float = 13.0
    gains_db: Mapping[str, float] | None = None
    seed: int = 0

    @property
    def hop(self) -> int:
        """Samples of the data set in a frame: 128 at 16 kHz, 384 at 48 kHz."""
        return round(self.rate * FRAME_S)

    @property
    def render_rate(self) -> int:
        """Samples a second before any resampling."""
        return self.rate if self.direct else max(self.rate, RENDER_RATE)

    def path_of(self, job: Excerpt) -> Path:
        """The file of an excerpt."""
        return self.out / job.split / f"{job.name}.npz"

    def keys_of(self, program: int) -> tuple[int, int]:
        """Lowest and highest key that a program plays. Raises ValueError when none is left."""
        low, high = self.program_keys.get(program, self.keys)
        low, high = max(low, self.keys[0]), min(high, self.keys[1])
        if low > high:
            raise ValueError(
                f"keys {self.keys[0]}-{self.keys[1]}: none is left of program {program}"
            )
        return low, high

    def release_of(self, program: int) -> float:
        """Seconds kept after a program's last note."""
        return self.program_release_s.get(program, self.release_s)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One file to make. piece: a MIDI path, or None for an etude; start, and the length of
    what is played, in seconds: the release comes on top; key: it alone, instead of an etude."""

    split: str
    name: str
    patch: str
    program: int
    piece: str | None
    start: float
    played_s: float
    seed: int
    key: int | None = None


def plan_excerpts(recipe: Recipe, pieces: Mapping[str, list[tuple[str, float]]]) -> list[Excerpt]:
    """Every excerpt of the data set, instruments in turn, from split -> (path, seconds).

    Test pieces are one minute from the start, with all programs. Raises ValueError when a
    split that is needed is empty, or an excerpt would be nothing but its release.
    """
    for split, minutes in (("train", recipe.train_minutes), ("val", recipe.val_minutes)):
        if minutes > 0 and not pieces[split]:
            count = sum(map(len, pieces.values()))
            raise ValueError(f"{recipe.midi}: no piece has split {split} (of {count} in all)")
    plan: list[tuple[int, Excerpt]] = []
    random = np.random.default_rng(recipe.seed)
    tested = _spread(pieces["test"], recipe.test_pieces)
    for patch, program in recipe.programs.items():
        recipe.keys_of(program)
        release = recipe.release_of(program)
        if recipe.seconds <= release:
            raise ValueError(
                f"seconds is {recipe.seconds:g}, but must be more than {release:g}, the release "
                f"of {patch}"
            )
        played = recipe.seconds - release
        for split, minutes in (("train", recipe.train_minutes), ("val", recipe.val_minutes)):
            for number in range(round(minutes * 60 / recipe.seconds)):
                path, length = pieces[split][int(random.integers(len(pieces[split])))]
                start = float(random.uniform(0, max(length - recipe.seconds, 0)))
                made_up = split == "train" and random.random() < recipe.etude_share
                piece = None if made_up else path
                seed = int(random.integers(2**31))
                name = f"{number:04d}-{patch}"
                job = Excerpt(split, name, patch, program, piece, start, played, seed)
                plan.append((number, job))
        for number, (name, path, length) in enumerate(tested):
            name, length = f"{name}-{patch}", min(TEST_S, length)
            job = Excerpt("test", name, patch, program, path, 0.0, length, 0)
            plan.append((number, job))
        low, high = recipe.keys_of(program)
        for key in range(low, high + 1) if recipe.key_s else ():
            name, length = f"{key:03d}-{patch}", KEY_ONSET_S + recipe.key_s
            job = Excerpt(KEYS_ALONE, name, patch, program, None, 0.0, length, 0, key)
            plan.append((key, job))
    # Instruments in turn, so that what an interrupted run leaves is a balanced set.
    plan.sort(key=lambda turn: (TURNS[turn[1].split], turn[0]))
    return [job for _, job in plan]


def _spread(pieces: list[tuple[str, float]], most: int) -> list[tuple[str, str, float]]:
    """So many pieces, evenly from all, as (a name of its own, path, seconds)."""
    chosen = np.linspace(0, len(pieces) - 1, min(most, len(pieces))).round().astype(int)
    stems = Counter(Path(pieces[i][0]).stem for i in chosen)
    named = []
    for path, length in (pieces[i] for i in chosen):
        stem = Path(path).stem
        if stems[stem] > 1 or not stem.isascii() or len(stem) > 100:
            mark = sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:8]
            stem = f"{stem.encode('ascii', 'ignore').decode()[:100]}-{mark}"
        named.append((stem, path, length))
    return named
