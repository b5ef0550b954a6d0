"""How fast is each stage of the sound, on one core, and is that fast enough to play live?

    sampler   WaveNet samples drawn from given conditioning: each sampler of ours, and `torch`,
              a plain float32 PyTorch loop, in the same run
    mel2mel   notes to spectra, frame by frame, at several lookaheads
    vocoder   spectra to samples, frame by frame: the whole of spectral and of wavenet

samples_per_second counts all streams together; real_time_factor is that over streams times
the audio rate: at 1 every stream just keeps up. ms_per_frame is for all streams. Each row is
the median of its runs, on one core where the system lets a process be pinned.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch
from tqdm import tqdm

from benchmarks import plain_loop
from benchmarks.results import Row
from run_server import DEFAULT_BANK
from synth.bank import load_bank
from synth.mel import Analysis
from synth.mel2mel import ROLL_CHANNELS, Mel2Mel
from synth.sampler import Sampler, initial_state
from synth.spectral import SpectralVocoder
from synth.vocoder import Vocoder
from synth.wavenet import WaveNet, WaveNetConfig
from synth.wavenet_vocoder import SAMPLERS, WaveNetVocoder

SUMMARY = "how fast is each stage of the sound?"
PLAIN = "torch"
ALL: dict[str, Sampler] = {**SAMPLERS, PLAIN: plain_loop}
DEFAULT = ("cpu", "reference", PLAIN)
STAGES = ("sampler", "mel2mel", "vocoder")
LEAST_S = 0.5
"""A row is run again until this much time has been spent on it, and at least thrice."""
FRAMES = 60
"""Frames of one run of mel2mel or a vocoder; the first are silence in a lookahead."""
HELD = (48, 60, 64, 67)
"""Keys held in the roll: a chord in each part."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to run, how wide, and with which weights."""
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--sampler", nargs="+", choices=tuple(ALL), default=DEFAULT)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--block-frames", type=int, nargs="+", default=[1])
    parser.add_argument("--lookahead", type=int, nargs="+", default=[0, 4, 16], help="frames")
    parser.add_argument("--bank", type=Path, default=DEFAULT_BANK, help="folder of a bank")
    for size in ("layers", "residual", "skip"):
        parser.add_argument(f"--{size}", type=int, help="of a WaveNet with random weights")
    parser.add_argument("--least-s", type=float, default=LEAST_S, help="seconds for each row")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each stage, kind, width and block. ValueError for sizes that cannot be."""
    for name in ("streams", "block_frames"):
        if min(getattr(options, name)) < 1:
            raise ValueError(f"--{name.replace('_', '-')}: must be at least 1")
    if min(options.lookahead) < 0:
        raise ValueError("--lookahead: must be 0 or more")
    analysis, mel2mel, wavenet = _networks(options)
    rows = []
    with one_core(), torch.inference_mode():
        plans = list(_plans(options, analysis, mel2mel, wavenet))
        for stage, kind, streams, block, run in tqdm(plans, desc="sampler", unit="row"):
            frames, seconds = timed(run, options.least_s)
            samples = frames * analysis.hop * streams
            rows.append(
                {
                    "stage": stage,
                    "sampler": kind,
                    "streams": streams,
                    "block_frames": block,
                    "samples_per_second": samples / seconds,
                    "real_time_factor": samples / seconds / streams / analysis.rate,
                    "ms_per_frame": 1000 * seconds / frames,
                }
            )
    return rows


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Pin this thread to the last core it may use, where the system allows that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def timed(run: Callable[[], int], least_s: float) -> tuple[int, float]:
    """Frames of one run, and the median seconds it takes, after one to warm up."""
    run()
    took: list[float] = []
    while len(took) < 3 or sum(took) < least_s:
        began = time.perf_counter()
        frames = run()
        took.append(time.perf_counter() - began)
    return frames, median(took)


Plan = tuple[str, str, int, int, Callable[[], int]]
"""Stage, kind, streams, block_frames, and a run that returns how many frames it made."""


def _networks(options: argparse.Namespace) -> tuple[Analysis, Mel2Mel, WaveNet]:
    """A bank's networks, with a random WaveNet where sizes were given or the bank has none."""
    bank = load_bank(options.bank)
    sizes = {n: getattr(options, n) for n in ("layers", "residual", "skip") if getattr(options, n)}
    if not sizes and bank.wavenet_config is not None:
        return bank.analysis, bank.mel2mel(), bank.wavenet()
    torch.manual_seed(0)
    wavenet = WaveNet(WaveNetConfig(mels=bank.analysis.mels, **sizes))
    return bank.analysis, bank.mel2mel(), wavenet.eval().requires_grad_(False)


def _plans(
    options: argparse.Namespace, analysis: Analysis, mel2mel: Mel2Mel, wavenet: WaveNet
) -> Iterator[Plan]:
    for streams in options.streams:
        for block in options.block_frames:
            if "sampler" in options.stages:
                for name in options.sampler:
                    yield "sampler", name, streams, block, _draw(wavenet, name, streams, block)
            if "mel2mel" in options.stages:
                for lookahead in options.lookahead:
                    run = _predict(mel2mel, lookahead, streams, block)
                    yield "mel2mel", f"lookahead {lookahead}", streams, block, run
            if "vocoder" in options.stages:
                vocoders: dict[str, Vocoder] = {"spectral": SpectralVocoder(analysis)}
                for name in options.sampler:
                    if name in SAMPLERS:
                        vocoders[f"wavenet, {name}"] = WaveNetVocoder(wavenet, name)
                for name, vocoder in vocoders.items():
                    run = _vocode(vocoder, analysis, streams, block)
                    yield "vocoder", name, streams, block, run


def _draw(wavenet: WaveNet, name: str, streams: int, block: int) -> Callable[[], int]:
    """One block a run, from conditioning that was made before."""
    sampler, config = ALL[name], wavenet.config
    packed = sampler.pack(wavenet.weights())
    count = block * config.hop
    # Real conditioning of a held spectrum: what it is does not change the work.
    vocoder = WaveNetVocoder(wavenet, "reference")
    held = torch.full((streams, 1, config.mels), -4.0)
    added = vocoder.condition(held, vocoder.initial_state(streams)).repeat(1, block, 1, 1)
    state = initial_state(config.dilations, config.residual, streams)
    draws = torch.rand(streams, count, generator=torch.Generator().manual_seed(0))

    def run() -> int:
        sampler.sample(packed, added, state, draws)
        return block

    return run


def _predict(mel2mel: Mel2Mel, lookahead: int, streams: int, block: int) -> Callable[[], int]:
    """FRAMES frames a run, of a chord held in every stream."""
    state = mel2mel.initial_state(streams, lookahead)
    roll = torch.zeros(streams, block, ROLL_CHANNELS)
    roll[..., [key - 21 for key in HELD]] = 0.7
    embedding = mel2mel.instruments.weight[:1].expand(streams, block, -1).contiguous()

    def run() -> int:
        for _ in range(-(-FRAMES // block)):
            mel2mel.step(roll, embedding, state)
        return -(-FRAMES // block) * block

    return run


def _vocode(vocoder: Vocoder, analysis: Analysis, streams: int, block: int) -> Callable[[], int]:
    """As many frames a run as make one block, or FRAMES for one that is fast."""
    bands = analysis.bins if vocoder.head == "fine" else analysis.mels
    blocks = max(FRAMES // block, 1) if vocoder.head == "fine" else 1
    generator = torch.Generator().manual_seed(0)
    # Peaks of random heights: a spectrum with as many to sort as music has.
    frames = -4 + torch.randn(streams, blocks * block, bands, generator=generator)
    draws = torch.rand(streams, block, vocoder.draws_per_frame, generator=generator)
    state = vocoder.initial_state(streams)

    def run() -> int:
        nonlocal state
        for part in frames.split(block, 1):
            _, state = vocoder.step(part, state, draws)
        return blocks * block

    return run
