"""How fast is each stage of the sound, on one core, and is that fast enough to play live?

    sampler   WaveNet samples drawn from mel frames upsampled before: each sampler of ours, and
              `torch`, a plain float32 PyTorch loop, in the same run; where there is a C compiler
              also `c-probe`, the ceiling of one core (see c_probe.py); on a GPU also `triton`,
              and the plain loop there as `torch-gpu` and, as a CUDA graph, `torch-graph`
    mel2mel   notes to spectra, frame by frame, at several lookaheads
    vocoder   spectra to samples, frame by frame: the whole of spectral and of wavenet

samples_per_second counts all streams together; real_time_factor is that over streams times
the audio rate: at 1 every stream just keeps up. ms_per_frame is for all streams. Each row is
the median of its runs, on as many cores as it says, where the system lets a process be pinned:
rows on more than one are of what can use them, the cpu sampler. On a GPU a run
ends when its samples are there; gpu_memory_mb is the most that a row had allocated.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from tqdm import tqdm

from benchmarks.rivals import c_probe, plain_graph, plain_loop
from benchmarks.rows import Row
from player.flags import DEFAULT_BANK
from synth.bank.bank import load_bank
from synth.mel import Analysis
from synth.mel2mel.network import ROLL_CHANNELS, Mel2Mel
from synth.mel2mel.step import Mel2MelStep
from synth.vocoders.contract import Vocoder
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.samplers.choice import SAMPLERS, load_sampler
from synth.vocoders.wavenet.samplers.contract import Sampler, initial_state
from synth.vocoders.wavenet.samplers.cpu import cores_here
from synth.vocoders.wavenet.vocoder import WaveNetVocoder

SUMMARY = "how fast is each stage of the sound?"
PLAIN, PLAIN_GPU, PLAIN_GRAPH, PROBE = "torch", "torch-gpu", "torch-graph", "c-probe"
ALL = (*SAMPLERS, PLAIN, PLAIN_GPU, PLAIN_GRAPH, PROBE)
DEFAULT = ("cpu", "reference", PLAIN)
MANY_CORED = "cpu"
"""The sampler whose rows are shared among cores."""
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
    parser.add_argument("--sampler", nargs="+", choices=ALL, default=_default())
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--cores", type=int, nargs="+", default=[1], help="to be pinned to")
    parser.add_argument("--block-frames", type=int, nargs="+", default=[1])
    parser.add_argument("--lookahead", type=int, nargs="+", default=[0, 4, 16], help="frames")
    parser.add_argument("--bank", type=Path, default=DEFAULT_BANK, help="folder of a bank")
    for size in ("layers", "residual", "skip"):
        parser.add_argument(f"--{size}", type=int, help="of a WaveNet with random weights")
    parser.add_argument("--least-s", type=float, default=LEAST_S, help="seconds for each row")


def _default() -> tuple[str, ...]:
    return (*DEFAULT, PROBE) if c_probe.available() else DEFAULT


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each stage, kind, width and block. ValueError for sizes that cannot be."""
    for name in ("streams", "block_frames", "cores"):
        if min(getattr(options, name)) < 1:
            raise ValueError(f"--{name.replace('_', '-')}: must be at least 1")
    if max(options.cores) > cores_here():
        raise ValueError(f"--cores {max(options.cores)}: this process may use {cores_here()}")
    if min(options.lookahead) < 0:
        raise ValueError("--lookahead: must be 0 or more")
    for name in options.sampler:
        _sampler(name)
    analysis, mel2mel, wavenet = _networks(options)
    rows = []
    for cores in options.cores:
        with pinned(cores), torch.inference_mode():
            plans = list(_plans(options, analysis, mel2mel, wavenet, cores))
            for stage, kind, streams, block, prepare in tqdm(plans, desc="sampler", unit="row"):
                frames, seconds, memory_mb = _timed(prepare, options.least_s)
                samples = frames * analysis.hop * streams
                rows.append(
                    {
                        "stage": stage,
                        "sampler": kind,
                        "streams": streams,
                        "cores": cores,
                        "block_frames": block,
                        "samples_per_second": samples / seconds,
                        "real_time_factor": samples / seconds / streams / analysis.rate,
                        "ms_per_frame": 1000 * seconds / frames,
                        "gpu_memory_mb": memory_mb,
                    }
                )
    return rows


@contextlib.contextmanager
def pinned(cores: int) -> Iterator[None]:
    """Pin this thread to the last cores it may use, where the system allows that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[-cores:])
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


def _timed(prepare: Callable[[], Run], least_s: float) -> tuple[int, float, float | None]:
    """`timed` of what is prepared, which is then let go; and the GPU memory it took, in MB."""
    if not torch.cuda.is_available():
        return *timed(prepare(), least_s), None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    made = timed(prepare(), least_s)
    return *made, torch.cuda.max_memory_allocated() / 1e6


Run = Callable[[], int]
"""Makes frames and returns how many."""
Plan = tuple[str, str, int, int, Callable[[], Run]]
"""Stage, kind, streams, block_frames, and what prepares a run."""


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
    options: argparse.Namespace,
    analysis: Analysis,
    mel2mel: Mel2Mel,
    wavenet: WaveNet,
    cores: int,
) -> Iterator[Plan]:
    alone = cores == 1
    names = [name for name in options.sampler if alone or name == MANY_CORED]
    for streams in options.streams:
        for block in options.block_frames:
            if "sampler" in options.stages:
                for name in names:
                    prepare = partial(draw, wavenet, name, streams, block)
                    yield "sampler", name, streams, block, prepare
            if alone and "mel2mel" in options.stages:
                for lookahead in options.lookahead:
                    prepare = partial(_predict, mel2mel, lookahead, streams, block)
                    yield "mel2mel", f"lookahead {lookahead}", streams, block, prepare
            if "vocoder" in options.stages:
                vocoders: dict[str, Vocoder] = {}
                if alone:
                    vocoders["spectral"] = SpectralVocoder(analysis)
                for name in names:
                    if name in SAMPLERS:
                        vocoders[f"wavenet, {name}"] = WaveNetVocoder(wavenet, name)
                for name, vocoder in vocoders.items():
                    prepare = partial(vocode, vocoder, analysis, streams, block)
                    yield "vocoder", name, streams, block, prepare


def _sampler(name: str) -> tuple[Sampler, torch.device]:
    """A sampler by the name it has here, and its device. ValueError if it cannot be had."""
    if name in SAMPLERS:
        return load_sampler(name)
    if name in (PLAIN, PROBE):
        return (plain_loop if name == PLAIN else c_probe), torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError(f"--sampler {name} needs an NVIDIA GPU; PyTorch finds none here")
    return (plain_loop if name == PLAIN_GPU else plain_graph), torch.device("cuda")


def draw(wavenet: WaveNet, name: str, streams: int, block: int) -> Run:
    """One block a run, from mel frames that were upsampled before."""
    (sampler, device), config = _sampler(name), wavenet.config
    weights = wavenet.weights()
    if name not in SAMPLERS:
        tensors = {f.name: getattr(weights, f.name) for f in fields(weights)}
        moved = {k: t.to(device) for k, t in tensors.items() if isinstance(t, torch.Tensor)}
        weights = replace(weights, **moved)
    packed = sampler.pack(weights)
    count = block * config.hop
    # Real conditioning of a held spectrum: what it is does not change the work.
    vocoder = WaveNetVocoder(wavenet, "reference")
    held = torch.full((1, 1, config.mels), -4.0)
    heard = vocoder.condition(held, vocoder.initial_state(1)).to(device)
    heard = heard.repeat(streams, block, 1)
    state = initial_state(config.dilations, config.residual, streams, device)
    draws = torch.rand(streams, count, generator=torch.Generator().manual_seed(0)).to(device)

    def run() -> int:
        drawn, _ = sampler.sample(packed, heard, state, draws)
        drawn.cpu()
        return block

    return run


def _predict(mel2mel: Mel2Mel, lookahead: int, streams: int, block: int) -> Run:
    """FRAMES frames a run, of a chord held in every stream."""
    live = Mel2MelStep(mel2mel, lookahead)
    state = live.initial_state(streams)
    roll = torch.zeros(streams, block, ROLL_CHANNELS)
    roll[..., [key - 21 for key in HELD]] = 0.7
    embedding = mel2mel.instruments.weight[:1].expand(streams, block, -1).contiguous()

    def run() -> int:
        for _ in range(-(-FRAMES // block)):
            live.step(roll, embedding, state)
        return -(-FRAMES // block) * block

    return run


def vocode(vocoder: Vocoder, analysis: Analysis, streams: int, block: int) -> Run:
    """As many frames a run as make one block, or FRAMES for one that is fast."""
    bands = analysis.bands if vocoder.head == "fine" else analysis.mels
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
