"""A piece's sound as files: the mix, and a file for each part if asked.

They appear whole, the mix as the last: where it is, all are. A gain that follows from the whole
piece is found first; until then its sound lies in a file without a name, not in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile

from common.files import whole_file
from common.loudness import SILENCE_DB, Meter
from player.batch.flags import FormatName
from synth.output.wav import WavWriter

PEAK_DB = -1.0
"""How loud the loudest sample may be where a gain is found, dB of full scale."""
FLAC_BITS = "PCM_24"
PIECE = 2**16
"""Samples that are read again at once."""

Blocks = Iterable[np.ndarray]
"""Sound (samples, channels), float32: the mix, and with parts a pair for each besides."""


class Level(NamedTuple):
    """What a piece was raised by, dB, and how loud it is after that, LUFS."""

    gain_db: float
    lufs: float


def file_names(name: str, form: FormatName, parts: Sequence[int]) -> dict[int, str]:
    """The files of a task: 0 is the mix, else a part.

    >>> file_names("song", "flac", [1, 16])
    {0: 'song.flac', 1: 'song.part-01.flac', 16: 'song.part-16.flac'}
    """
    return {0: f"{name}.{form}"} | {part: f"{name}.part-{part:02d}.{form}" for part in parts}


def write_files(paths: Mapping[int, Path], form: FormatName, rate: int, blocks: Blocks) -> int:
    """Write blocks to files, pair `n` of their channels to file n. How many samples there were."""
    samples = 0
    with ExitStack() as stack:
        # Those that are opened first are closed, and named, last.
        writers = {n: stack.enter_context(_writer(path, form, rate)) for n, path in paths.items()}
        for block in blocks:
            samples += len(block)
            for n, write in writers.items():
                write(block[:, 2 * n : 2 * n + 2])
    return samples


@contextmanager
def at_loudness(
    blocks: Blocks, rate: int, lufs: float, folder: Path
) -> Iterator[tuple[Blocks, Level]]:
    """The same sound with one gain, so that the mix is so loud and peaks at -1 dB at most.

    folder: a disk with room for it. Silence stays as it is.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        meter, peak, channels = Meter(rate, 2), 0.0, 2
        for block in blocks:
            channels = block.shape[1]
            meter.add(block[:, :2])
            peak = max(peak, float(np.abs(block[:, :2]).max(initial=0)))
            file.write(block.astype("<f4", copy=False).tobytes())
        heard, gain = meter.lufs(), 1.0
        if heard > SILENCE_DB and peak:
            gain = min(10 ** ((lufs - heard) / 20), 10 ** (PEAK_DB / 20) / peak)
        gain_db = 20 * float(np.log10(gain))
        yield _read(file, channels, gain), Level(gain_db, max(heard + gain_db, SILENCE_DB))


def _read(file: BinaryIO, channels: int, gain: float) -> Iterator[np.ndarray]:
    file.seek(0)
    while content := file.read(PIECE * channels * 4):
        yield np.frombuffer(content, "<f4").reshape(-1, channels) * np.float32(gain)


@contextmanager
def _writer(path: Path, form: FormatName, rate: int) -> Iterator[Callable[[np.ndarray], object]]:
    """What takes a file's blocks; it has its name when the block ends well."""
    with whole_file(path) as file:
        if form == "wav":
            wav = WavWriter(file, rate, 2)
            yield wav.write
            wav.renew_header()
        else:
            with soundfile.SoundFile(file, "w", rate, 2, FLAC_BITS, format="FLAC") as flac:
                yield flac.write
