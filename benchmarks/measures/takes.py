"""The held-out test pieces: the score, and the sound of the original."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measures.embedding import embedding
from common.window import KEYS
from synth.bank.bank import Bank
from trainer.data.dataset import load_excerpt
from trainer.data.manifest import read_manifest


@dataclass(frozen=True, slots=True)
class Take:
    """A piece on one instrument.

    original (samples,) float32 in -1..1, as the SoundFont renderer played it; frames: its
    length. roll (frames or more, 176) float32 in 0..1: the score, which may go on after the
    original ends. embedding (size,): where the bank's patch of that instrument plays.
    """

    original: np.ndarray
    frames: int
    roll: np.ndarray
    embedding: np.ndarray

    @property
    def onsets(self) -> np.ndarray:
        """Frames in which one or more notes begin, ascending."""
        return np.flatnonzero(self.roll[:, KEYS:].any(axis=1))


def instruments(bank: Bank, data: Path) -> list[str]:
    """The bank's patches that the data set plays, in the bank's order.

    Raises ValueError when there is none, or when the frames of the data set are not the bank's.
    """
    manifest = read_manifest(data)
    for name in ("rate", "hop"):
        wanted = getattr(bank.analysis, name)
        if getattr(manifest, name) != wanted:
            raise ValueError(
                f"{data / 'manifest.yaml'}: {name}: expected {wanted}, as in {bank.path}, "
                f"got {getattr(manifest, name)}"
            )
    known = [patch for patch in bank.names if patch in manifest.programs]
    if not known:
        raise ValueError(f"{data}: none of its instruments is in {bank.path}")
    return known


def paths_of(data: Path, patch: str) -> list[Path]:
    """All test pieces of a patch, in order of their names; maybe none."""
    programs = list(read_manifest(data).programs)
    return [p for p in sorted((data / "test").glob("*.npz")) if _patch_of(p, programs) == patch]


def take_paths(data: Path, patch: str, pieces: int) -> list[Path]:
    """So many test pieces of a patch, evenly spread over all, always the same ones.

    Raises ValueError when there is none.
    """
    paths = paths_of(data, patch)
    if not paths:
        raise ValueError(f"{data / 'test'}: no test piece of {patch}; has rendering finished?")
    chosen = np.linspace(0, len(paths) - 1, min(pieces, len(paths))).round().astype(int)
    return [paths[i] for i in chosen]


def load_takes(
    bank: Bank, paths: list[Path], patch: str, seconds: float, before: int = 0
) -> list[Take]:
    """So many seconds of each piece, from `before` frames before its first note.

    The silence at the beginning is left out: it is easy to get right, and would raise every
    figure. Raises ValueError for a file that is no excerpt.
    """
    place = np.array(embedding(bank, patch), np.float32)
    hop, takes = bank.analysis.hop, []
    for path in paths:
        excerpt = load_excerpt(path, [patch])
        first = max(int(excerpt.roll[:, KEYS:].any(axis=1).argmax()) - before, 0)
        stop = first * hop + round(seconds * bank.analysis.rate)
        original = excerpt.audio[first * hop : stop].astype(np.float32) / 32767
        frames, roll = -(-len(original) // hop), excerpt.roll[first:].astype(np.float32) / 127
        roll = np.pad(roll, ((0, max(frames - len(roll), 0)), (0, 0)))
        takes.append(Take(original, frames, roll, place))
    return takes


def _patch_of(path: Path, programs: list[str]) -> str | None:
    """The patch in which a file's name ends: the longest one, for "piano" ends "grand-piano"."""
    return max((p for p in programs if path.stem.endswith(f"-{p}")), key=len, default=None)
