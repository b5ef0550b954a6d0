"""How much quality does a smaller WaveNet cost, and how much faster is it on one core?

Each run is a folder of `python -m trainer wavenet`. Compare runs after the same number of
iterations, on the same data. validation_nats is the cross-entropy per sample of the run's best
weights on held-out pieces; real_time_factor is that of the cpu sampler from upsampled frames,
vocoder_real_time that of the whole vocoder from frames, both for one stream on one core. guide:
samples of a guide that it hears on either side, 0 for none.

--bank: the run also plays test pieces from notes, in place of that bank's WaveNet. mean_r, stft and
log_mel_l1 are then those of `fidelity`, means over instruments, of --pieces of each and the first
--seconds of every piece.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.cores import last_cores
from benchmarks.flags import above, add_data_flag, add_lookahead_flag, whole
from benchmarks.measures.comparison import PiecePair, compare
from benchmarks.measures.conditions import play
from benchmarks.measures.fidelity import mean_of
from benchmarks.measures.sampler import LEAST_S, draw, timed, vocode
from benchmarks.measures.takes import instruments, load_takes, take_paths
from benchmarks.rows import Row
from common.threads import on_cores
from synth.bank.bank import Bank, load_bank
from synth.instrument import Instrument
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.vocoder import wavenet_vocoder
from trainer.data.dataset import analysis_of
from trainer.data.manifest import read_manifest
from trainer.run.weights import load_weights, read_config, read_taught

SUMMARY = "how fast are smaller WaveNets, and how much worse?"
SAMPLER = "cpu"
FIGURES = ("mean_r", "stft", "log_mel_l1")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which runs."""
    add_data_flag(parser)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="folders of runs")
    parser.add_argument("--least-s", type=float, default=LEAST_S, help="seconds for each speed")
    parser.add_argument("--bank", type=Path, help="bank whose Mel2Mel plays (default: none)")
    parser.add_argument("--pieces", type=whole(1), default=2, help="of each instrument")
    parser.add_argument("--seconds", type=above(0), default=6.0, help="of each piece")
    add_lookahead_flag(parser)


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each run. ValueError for a folder that is no run, or a bank that does not fit."""
    manifest = read_manifest(options.data)
    rate, hop = manifest.rate, manifest.hop
    bank = None if options.bank is None else load_bank(options.bank)
    rows: list[Row] = []
    loaded = [_load(run) for run in options.runs]
    with on_cores(last_cores(1)), torch.inference_mode():
        for wavenet, best in tqdm(loaded, desc="ladder", unit="run"):
            analysis = replace(analysis_of(manifest), mels=wavenet.config.mels)
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
                    "layers": wavenet.config.layers,
                    "residual": wavenet.config.residual,
                    "skip": wavenet.config.skip,
                    "guide": wavenet.config.guide,
                    "parameters": sum(p.numel() for p in wavenet.parameters()),
                    "iterations": best["iteration"],
                    "samples_seen": best["samples"],
                    "validation_nats": best["validation"],
                    "real_time_factor": factors[0],
                    "vocoder_real_time": factors[1],
                    **(_heard(wavenet, bank, options) if bank else dict.fromkeys(FIGURES)),
                }
            )
    return rows


def _heard(wavenet: WaveNet, bank: Bank, options: argparse.Namespace) -> Row:
    """FIGURES of a network that plays from notes, the bank's Mel2Mel before it. ValueError for one
    that does not fit the bank, or a data set that does not."""
    analysis = bank.analysis
    if wavenet.config.mels != analysis.mels:
        raise ValueError(
            f"{bank.path}: mels: expected {wavenet.config.mels}, as the run has, "
            f"got {analysis.mels}"
        )
    instrument = Instrument(bank, wavenet_vocoder(wavenet, SAMPLER, analysis))
    found = []
    for patch in instruments(bank, options.data):
        paths = take_paths(options.data, patch, options.pieces)
        takes = load_takes(bank, paths, patch, options.seconds)
        pairs = [
            PiecePair(play(instrument, options.lookahead, t), t.original, t.onsets * analysis.hop)
            for t in takes
        ]
        found.append(asdict(compare(pairs, analysis)))
    means = mean_of(found)
    return {name: means[name] for name in FIGURES}


def _load(run: Path) -> tuple[WaveNet, dict[str, float]]:
    """A run's best network, and the line of its log that says how good it is."""
    journal, weights = run / "log.jsonl", run / "best.safetensors"
    if not journal.is_file():
        raise ValueError(f"{run}: is no run of `trainer wavenet`: it has no {journal.name}")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    validated = [line for line in lines if "validation" in line]
    if not validated:
        raise ValueError(f"{journal}: has no validation yet")
    try:
        config = WaveNetConfig(**read_config(weights))
    except TypeError:
        raise ValueError(f"{run}: is no run of `trainer wavenet`, but of another network") from None
    wavenet = WaveNet(config).eval().requires_grad_(False)
    load_weights(wavenet, weights)
    at = read_taught(weights).get("iteration")
    if at is None:  # in older files
        return wavenet, min(validated, key=lambda line: line["validation"])
    own = [line for line in validated if line["iteration"] == at]
    if not own:
        raise ValueError(f"{journal}: has no validation at iteration {at}, of {weights.name}")
    return wavenet, own[-1]
