"""How fast is each stage of the sound, on one core, and is that fast enough to play live?

    sampler   WaveNet samples, drawn from mel frames that were upsampled before: each of our
              samplers, and `torch`, a plain float32 PyTorch loop, in the same run. With a C
              compiler also `c-probe`, the most that one core can do (rivals/c_probe.py). On a
              GPU also `triton`, the plain loop as `torch-gpu`, and as a CUDA graph `torch-graph`
    mel2mel   notes to spectra, frame by frame, at several lookaheads
    vocoder   spectra to samples, frame by frame: the whole of spectral and of wavenet

samples_per_second counts all streams together; a sampler's are those of the WaveNet's own rate.
real_time_factor is that, divided by streams and by the rate: at 1 every stream just keeps up.
ms_per_frame is for all streams. Each row is the median of its runs, on as many cores as it says,
where the system lets a process choose its cores. Only the cpu sampler can use more than one core,
so only its rows have more. On a GPU a run ends when its samples have been copied back;
gpu_memory_mb is the most that was allocated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from statistics import median
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.cores import last_cores
from benchmarks.flags import WAVENET_BANK, add_bank_flag, add_lookahead_flag, whole
from benchmarks.rivals import c_probe, plain_graph, plain_loop
from benchmarks.rows import Row
from common.names import SAMPLERS
from common.threads import cores_here, on_cores
from common.window import LOWEST_KEY, ROLL_CHANNELS
from synth.bank.bank import load_bank
from synth.mel import Analysis
from synth.mel2mel.network import Mel2Mel
from synth.mel2mel.step import Mel2MelStep
from synth.vocoders.contract import Vocoder
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.drawing import Drawing
from synth.vocoders.wavenet.mulaw import SILENCE
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.samplers.choice import load_sampler
from synth.vocoders.wavenet.samplers.contract import Sampler, initial_state
from synth.vocoders.wavenet.vocoder import wavenet_vocoder

SUMMARY = "how fast is each stage of the sound?"
PLAIN, PLAIN_GPU, PLAIN_GRAPH, PROBE = "torch", "torch-gpu", "torch-graph", "c-probe"
ALL = (*SAMPLERS, PLAIN, PLAIN_GPU, PLAIN_GRAPH, PROBE)
DEFAULT = ("cpu", "reference", PLAIN)
MANY_CORED = "cpu"
"""The sampler whose rows are shared among cores."""
STAGES = ("sampler", "mel2mel", "vocoder")
SIZES = ("layers", "cycle", "residual", "skip", "guide")
"""Of a WaveNet's config, that random weights may be asked for."""
LEAST_S = 0.5
"""A row is repeated until so much time has been spent on it, and at least three times."""
FRAMES = 60
"""Frames of one run of mel2mel or a vocoder."""
HELD = (48, 60, 64, 67)
"""MIDI keys held in each part: a chord."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to run, how wide, and with which weights."""
    add_bank_flag(parser, WAVENET_BANK)
    add_lookahead_flag(parser, [0, 4, 16], nargs="+", full=False)
    add = parser.add_argument
    add("--stages", nargs="+", choices=STAGES, default=STAGES)
    add("--sampler", nargs="+", choices=ALL, default=_default())
    add("--streams", type=whole(1), nargs="+", default=[1, 2, 4])
    add("--cores", type=whole(1, cores_here()), nargs="+", default=[1], help="cores to use")
    add("--block-frames", type=whole(1), nargs="+", default=[1])
    for size in SIZES:
        add(f"--{size}", type=whole(0 if size == "guide" else 1), help="of a random WaveNet")
    add("--least-s", type=float, default=LEAST_S, help="seconds for each row")


def _default() -> tuple[str, ...]:
    return (*DEFAULT, PROBE) if c_probe.available() else DEFAULT


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each stage, kind, width and block. ValueError for a sampler that cannot run."""
    for name in options.sampler:
        _sampler(name)
    analysis, mel2mel, wavenet = _networks(options)
    rows: list[Row] = []
    for cores in options.cores:
        with on_cores(last_cores(cores)), torch.inference_mode():
            plans = list(_plans(options, analysis, mel2mel, wavenet, cores))
            for stage, kind, streams, block, prepare in tqdm(plans, desc="sampler", unit="row"):
                frames, seconds, memory_mb = _timed(prepare, options.least_s)
                # A WaveNet's samples may be fewer than its bank's.
                hop = wavenet.config.hop if stage == "sampler" else analysis.hop
                samples = frames * hop * streams
                rows.append(
                    {
                        "stage": stage,
                        "sampler": kind,
                        "streams": streams,
                        "cores": cores,
                        "block_frames": block,
                        "samples_per_second": samples / seconds,
                        "real_time_factor": frames / seconds / analysis.frame_rate,
                        "ms_per_frame": 1000 * seconds / frames,
                        "gpu_memory_mb": memory_mb,
                    }
                )
    return rows


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
    """`timed` of what is prepared, which is then freed; and the GPU memory it took, in MB."""
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
    given = {name: getattr(options, name) for name in SIZES}
    sizes = {name: size for name, size in given.items() if size is not None}
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
                        vocoders[f"wavenet, {name}"] = wavenet_vocoder(wavenet, name, analysis)
                for name, vocoder in vocoders.items():
                    prepare = partial(vocode, vocoder, analysis, streams, block)
                    yield "vocoder", name, streams, block, prepare


def _sampler(name: str) -> tuple[Sampler, torch.device]:
    """A sampler by its name in this benchmark, and its device. ValueError if it cannot run."""
    if name in SAMPLERS:
        return load_sampler(name)
    if name in (PLAIN, PROBE):
        return (plain_loop if name == PLAIN else c_probe), torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError(f"--sampler {name}: needs an NVIDIA GPU; PyTorch finds none here")
    return (plain_loop if name == PLAIN_GPU else plain_graph), torch.device("cuda")


def draw(wavenet: WaveNet, name: str, streams: int, block: int) -> Run:
    """One block per run, from mel frames that were upsampled before."""
    (sampler, device), config = _sampler(name), wavenet.config
    weights = wavenet.weights()
    if name not in SAMPLERS:
        tensors = {f.name: getattr(weights, f.name) for f in fields(weights)}
        moved: dict[str, Any] = {
            k: t.to(device) for k, t in tensors.items() if isinstance(t, torch.Tensor)
        }
        weights = replace(weights, **moved)
    packed = sampler.pack(weights)
    count = block * config.hop
    # Conditioning of one held spectrum, and a silent guide: values do not change the work.
    drawing = Drawing(wavenet, "reference")
    held = torch.full((1, 1, config.mels), -4.0)
    guide = None
    if config.guide:
        guide = torch.full((1, config.hop + 2 * config.guide), SILENCE, dtype=torch.uint8)
    heard = drawing.condition(held, drawing.initial_state(1), guide).to(device)
    heard = heard.repeat(streams, block, 1)
    state = initial_state(config.dilations, config.residual, streams, device)
    draws = torch.rand(streams, count, generator=torch.Generator().manual_seed(0)).to(device)

    def run() -> int:
        drawn, _ = sampler.sample(packed, heard, state, draws)
        drawn.cpu()
        return block

    return run


def _predict(mel2mel: Mel2Mel, lookahead: int, streams: int, block: int) -> Run:
    """FRAMES frames per run, of a chord held in every stream."""
    live = Mel2MelStep(mel2mel, lookahead)
    state = live.initial_state(streams)
    roll = torch.zeros(streams, block, ROLL_CHANNELS)
    roll[..., [key - LOWEST_KEY for key in HELD]] = 0.7
    embedding = mel2mel.instruments.weight[:1].expand(streams, block, -1).contiguous()

    def run() -> int:
        for _ in range(-(-FRAMES // block)):
            live.step(roll, embedding, state)
        return -(-FRAMES // block) * block

    return run


def vocode(vocoder: Vocoder, analysis: Analysis, streams: int, block: int) -> Run:
    """FRAMES frames per run for a fast vocoder, one block for a slow one."""
    bands = analysis.count(vocoder.head)
    blocks = 1 if vocoder.draws_per_frame else max(FRAMES // block, 1)
    generator = torch.Generator().manual_seed(0)
    # Peaks of random heights: about as many to sort as in music.
    frames = -4 + torch.randn(streams, blocks * block, bands, generator=generator)
    draws = torch.rand(streams, block, vocoder.draws_per_frame, generator=generator)
    state = vocoder.initial_state(streams)

    def run() -> int:
        nonlocal state
        for part in frames.split(block, 1):
            _, state = vocoder.step(part, state, draws)
        return blocks * block

    return run
