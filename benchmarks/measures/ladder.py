"""How much quality does a smaller WaveNet cost, and how much faster is it on one core?

Each run is a folder of `python -m trainer wavenet`. Compare runs after the same number of
iterations, on the same data. validation_nats is the lowest cross-entropy per sample that the run
reached on held-out pieces; real_time_factor is that of the cpu sampler from upsampled frames,
vocoder_real_time that of the whole vocoder from frames, both for one stream on one core. guide:
samples of a guide that it hears on either side, 0 for none.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.cores import last_cores
from benchmarks.flags import add_data_flag
from benchmarks.measures.sampler import LEAST_S, draw, timed, vocode
from benchmarks.rows import Row
from common.threads import on_cores
from synth.mel import Analysis
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.vocoder import wavenet_vocoder
from trainer.data.manifest import read_manifest
from trainer.run.weights import load_weights, read_config

SUMMARY = "how fast are smaller WaveNets, and how much worse?"
SAMPLER = "cpu"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which runs."""
    add_data_flag(parser)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="folders of runs")
    parser.add_argument("--least-s", type=float, default=LEAST_S, help="seconds for each figure")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each run. ValueError for a folder that is no run."""
    manifest = read_manifest(options.data)
    rate, hop = manifest.rate, manifest.hop
    rows: list[Row] = []
    loaded = [_load(run) for run in options.runs]
    with on_cores(last_cores(1)), torch.inference_mode():
        for wavenet, best in tqdm(loaded, desc="ladder", unit="run"):
            analysis = Analysis(rate=rate, hop=hop, mels=wavenet.config.mels)
            vocoder = wavenet_vocoder(wavenet, SAMPLER, analysis)
            factors = [
                frames * hop / rate / seconds
                for frames, seconds in (
                    timed(draw(wavenet, SAMPLER, 1, 1), options.least_s),
                    timed(vocode(vocoder, analysis, 1, 1), options.least_s),
                )
            ]
            rows.append(
                {
                    "residual": wavenet.config.residual,
                    "skip": wavenet.config.skip,
                    "guide": wavenet.config.guide,
                    "parameters": sum(p.numel() for p in wavenet.parameters()),
                    "iterations": best["iteration"],
                    "samples_seen": best["samples"],
                    "validation_nats": best["validation"],
                    "real_time_factor": factors[0],
                    "vocoder_real_time": factors[1],
                }
            )
    return rows


def _load(run: Path) -> tuple[WaveNet, dict[str, float]]:
    """A run's best network, and the line of its log that says how good it is."""
    journal, weights = run / "log.jsonl", run / "best.safetensors"
    if not journal.is_file():
        raise ValueError(f"{run}: is no run of `trainer wavenet`: it has no {journal.name}")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    validated = [line for line in lines if "validation" in line]
    if not validated:
        raise ValueError(f"{journal}: has no validation yet")
    wavenet = WaveNet(WaveNetConfig(**read_config(weights))).eval().requires_grad_(False)
    load_weights(wavenet, weights)
    return wavenet, min(validated, key=lambda line: line["validation"])
