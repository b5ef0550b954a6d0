"""The excerpts of a data set, one job for each: they follow from its plan and pieces alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from trainer.data.plan import KEYS_ALONE, LET_GO, RenderPlan
from trainer.data.score import KEY_ONSET_S

TEST_S = 60.0
"""Of each test piece, from its start."""
TURNS = {KEYS_ALONE: 0, LET_GO: 0, "train": 1, "val": 1, "test": 2}
"""Split -> when it is made."""
SHORT_S, SHORT_EVERY = 0.4, 3
"""How long the keys of `LET_GO` are held, and of how many keys one is."""


@dataclass(frozen=True, slots=True)
class ExcerptJob:
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

    @property
    def file(self) -> Path:
        """Its place in the data set."""
        return Path(self.split, f"{self.name}.npz")


def list_jobs(plan: RenderPlan, pieces: Mapping[str, list[tuple[str, float]]]) -> list[ExcerptJob]:
    """Every excerpt of the data set, instruments in turn, from split -> (path, seconds).

    Test pieces are one minute from the start, with all programs. Raises ValueError when a
    split that is needed is empty, or an excerpt would be nothing but its release.
    """
    for split, minutes in (("train", plan.train_minutes), ("val", plan.val_minutes)):
        if minutes > 0 and not pieces[split]:
            count = sum(map(len, pieces.values()))
            raise ValueError(f"{plan.midi}: no piece has split {split} (of {count} in all)")
    jobs: list[tuple[int, ExcerptJob]] = []
    random = np.random.default_rng(plan.seed)
    tested = _spread(pieces["test"], plan.test_pieces)
    for patch, program in plan.programs.items():
        plan.keys_of(program)
        release = plan.release_of(program)
        if plan.seconds <= release:
            raise ValueError(
                f"--seconds: expected more than {release:g}, the release of {patch}, got "
                f"{plan.seconds:g}"
            )
        played = plan.seconds - release
        for split, minutes in (("train", plan.train_minutes), ("val", plan.val_minutes)):
            for number in range(round(minutes * 60 / plan.seconds)):
                path, length = pieces[split][int(random.integers(len(pieces[split])))]
                start = float(random.uniform(0, max(length - plan.seconds, 0)))
                made_up = split == "train" and random.random() < plan.etudes
                piece = None if made_up else path
                seed = int(random.integers(2**31))
                name = f"{number:04d}-{patch}"
                job = ExcerptJob(split, name, patch, program, piece, start, played, seed)
                jobs.append((number, job))
        for number, (name, path, length) in enumerate(tested):
            name, length = f"{name}-{patch}", min(TEST_S, length)
            job = ExcerptJob("test", name, patch, program, path, 0.0, length, 0)
            jobs.append((number, job))
        low, high = plan.keys_of(program)
        for key in range(low, high + 1) if plan.key_seconds else ():
            name, length = f"{key:03d}-{patch}", KEY_ONSET_S + plan.key_seconds
            jobs.append(
                (key, ExcerptJob(KEYS_ALONE, name, patch, program, None, 0.0, length, 0, key))
            )
            if (key - low) % SHORT_EVERY == 0:
                length = KEY_ONSET_S + SHORT_S
                jobs.append(
                    (key, ExcerptJob(LET_GO, name, patch, program, None, 0.0, length, 0, key))
                )
    # Instruments in turn, so that what an interrupted run leaves is a balanced set.
    jobs.sort(key=lambda turn: (TURNS[turn[1].split], turn[0]))
    return [job for _, job in jobs]


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
