"""The held-out test pieces: what was played, and how the original sounded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daw_bridge.piano_roll import KEYS
from synth.bank.bank import Bank
from trainer.data.dataset import load_excerpt
from trainer.data.manifest import read_manifest


@dataclass(frozen=True, slots=True)
class Take:
    """A piece on one instrument, from its first note on.

    original (samples,) float32 in -1..1, as the renderer played it; frames: how many those
    are. roll (frames or more, 176) float32 in 0..1, as far as the score is known, for the
    original does not end with its samples. embedding (size,): where the bank keeps the patch.
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

    Raises ValueError when there is none, or the data set's frames are not the bank's.
    """
    manifest = read_manifest(data)
    for name in ("rate", "hop"):
        found, stated = getattr(manifest, name), getattr(bank.analysis, name)
        if found != stated:
            raise ValueError(
                f"{data / 'manifest.yaml'}: {name} is {found}, but {stated} in {bank.path}"
            )
    known = [patch for patch in bank.names if patch in manifest.programs]
    if not known:
        raise ValueError(f"{data}: none of its instruments is in {bank.path}")
    return known


def take_paths(data: Path, patch: str, pieces: int) -> list[Path]:
    """So many test pieces of a patch, spread over all there are, always the same ones.

    Raises ValueError when there is none.
    """
    programs = list(read_manifest(data).programs)
    paths = [p for p in sorted((data / "test").glob("*.npz")) if _patch_of(p, programs) == patch]
    if not paths:
        raise ValueError(f"{data / 'test'}: no test piece of {patch}; let `render` finish")
    chosen = np.linspace(0, len(paths) - 1, min(pieces, len(paths))).round().astype(int)
    return [paths[i] for i in chosen]


def load_takes(bank: Bank, paths: list[Path], patch: str, seconds: float) -> list[Take]:
    """So many seconds of each piece, from its first note on.

    The silence before it is left out: every remake would match it, and be praised for it.
    Raises ValueError for a file that is no excerpt.
    """
    embedding = np.array(bank.point(patch), np.float32)
    hop, takes = bank.analysis.hop, []
    for path in paths:
        excerpt = load_excerpt(path, [patch])
        first = int(excerpt.roll[:, KEYS:].any(axis=1).argmax())
        stop = first * hop + round(seconds * bank.analysis.rate)
        original = excerpt.audio[first * hop : stop].astype(np.float32) / 32767
        frames, roll = -(-len(original) // hop), excerpt.roll[first:].astype(np.float32) / 127
        roll = np.pad(roll, ((0, max(frames - len(roll), 0)), (0, 0)))
        takes.append(Take(original, frames, roll, embedding))
    return takes


def _patch_of(path: Path, programs: list[str]) -> str | None:
    """The patch that a file's name ends in: the longest, for some end in another's name."""
    return max((p for p in programs if path.stem.endswith(f"-{p}")), key=len, default=None)
