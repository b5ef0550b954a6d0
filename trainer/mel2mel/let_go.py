"""How keys die away when they are let go, measured in a data set's short notes.

A short note is compared with the same key held on: the ratio of their levels, frame by frame from
the release on, is what the release has left. Templates mix it of a few time constants; here the
shares are fitted to the ratio in dB, for all notes at once.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from synth.mel import Analysis
from synth.mel2mel.keys import KEYS, initial_keys, play_keys
from synth.mel2mel.templates import FIRST_RELEASES, RELEASES_S
from trainer.data.dataset import Excerpt, audio_around, framed_magnitudes, load_excerpt
from trainer.data.plan import KEYS_ALONE, LET_GO
from trainer.mel2mel.keys_alone import nearest_keys

LEAST = 3e-3
"""Of a tone: 50 dB down nobody hears how it goes on."""
SILENT = 1e-9
"""Power of a frame that holds nothing but the rounding to 16 bits."""
STEPS, RATE = 400, 0.1
"""Of Adam."""
LARGEST = 8.0
"""Of the logits of shares, either way."""


def measure_releases(folder: Path, patches: list[str], analysis: Analysis) -> Tensor | None:
    """Logits of the shares that time constants have in releases, (instruments, 88, constants); None
    for a data set without short notes. A key without one takes after the nearest.

    Raises ValueError when an instrument has none.
    """
    paths = sorted((folder / LET_GO).glob("*.npz"))
    if not paths:
        return None
    places, left, rest = [], [], []
    for path in tqdm(paths, "let go", unit="key"):
        held = folder / KEYS_ALONE / path.name
        if held.exists():
            short = load_excerpt(path, patches)
            places.append((short.instrument, int(short.roll[:, KEYS:].argmax() % KEYS)))
            ratio, frames = _left(short, load_excerpt(held, patches), places[-1][1], analysis)
            left.append(ratio)
            rest.append(frames)
    told = _fitted(_padded(left), _padded(rest), analysis.frame_rate)
    logits = torch.zeros(len(patches), KEYS, len(RELEASES_S))
    heard: list[set[int]] = [set() for _ in patches]
    for (instrument, key), own in zip(places, told, strict=True):
        logits[instrument, key] = own
        heard[instrument].add(key)
    for i, nearest in enumerate(nearest_keys(folder, patches, heard)):
        logits[i] = logits[i, nearest]
    return logits


def _left(short: Excerpt, held: Excerpt, key: int, analysis: Analysis) -> tuple[Tensor, Tensor]:
    """What is left of a key that was let go, 0..1, frame by frame, NaN where the held one tells
    nothing either, and how many frames ago it was let go: two of (frames,)."""
    tracks, _ = play_keys(torch.from_numpy(short.roll).float()[None] / 127, initial_keys(1))
    rest = tracks.rest[0, :, key]
    onset = int(short.roll[:, KEYS + key].argmax())
    first = onset + int(rest[onset:].nonzero()[0])
    powers = [_powers(each, first, len(rest) - first, analysis) for each in (short, held)]
    ratio = (powers[0].clamp(min=0) / powers[1]).sqrt().clamp(max=1.0)
    loudest = _powers(held, 0, first, analysis).max()
    alive = powers[1] > LEAST**2 * loudest
    return torch.where(alive, ratio, torch.nan), rest[first:]


def _powers(excerpt: Excerpt, first: int, frames: int, analysis: Analysis) -> Tensor:
    hop = analysis.hop
    audio = audio_around(excerpt.audio, first * hop, frames * hop, analysis.window // 2)
    return framed_magnitudes(audio[None], analysis)[0].square().sum(-1) - SILENT


def _padded(rows: list[Tensor]) -> Tensor:
    """Rows of any length as a table, NaN behind their ends."""
    return pad_sequence([row.float() for row in rows], True, torch.nan)


def _fitted(left: Tensor, rest: Tensor, frame_rate: float) -> Tensor:
    """Logits (notes, constants) whose mixtures are nearest to what is left (notes, frames), NaN
    where nothing is known; rest (notes, frames)."""
    known = left.isfinite()
    seconds = torch.where(known, rest, 0.0) / frame_rate
    wanted = (torch.where(known, left, 0.0) + LEAST).log()
    falls = (-seconds[..., None] / torch.tensor(RELEASES_S)).exp()
    logits = torch.tensor(FIRST_RELEASES).repeat(len(left), 1).requires_grad_()
    optimizer = torch.optim.Adam([logits], RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        mixed = (falls @ logits.softmax(-1)[..., None])[..., 0]
        away = ((mixed + LEAST).log() - wanted) * known
        # What cannot be told from the sound stays as it is.
        doubt = 1e-3 * (logits - torch.tensor(FIRST_RELEASES)).square().sum()
        (away.square().sum(1) / known.sum(1).clamp(min=1)).sum().add(doubt).backward()
        optimizer.step()
    return logits.detach().clamp(-LARGEST, LARGEST)
