"""Trained networks -> a bank: their weights, a patch for each instrument, and a map of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from common.names import VOCODERS
from common.patch import Patch
from synth.bank.bank_file import bank_content
from synth.bank.patch_file import save_patch
from synth.mel import Analysis
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from trainer.bank.embedding_map import draw_map
from trainer.bank.provenance import data_set, training
from trainer.data.dataset import analysis_of
from trainer.data.manifest import read_manifest
from trainer.mel2mel.losses import SpectralLoss
from trainer.run.checkpoint import BEST, LATEST, load_checkpoint
from trainer.run.weights import load_weights, read_config, read_notes, replace_with
from trainer.wavenet.training import LOSS as WAVENET_LOSS

RING_OUT_S = 5.0
"""The harp rings up to 4.5 s after its key, whatever the pedal."""
BRIGHTNESS = 2.0
"""From one end of the knob to the other, in tilt.py's units: 4 dB an octave each way."""
NONE: Mapping[str, str] = {}
FILES = {"last": LATEST, "best": BEST}
PRECISIONS = {"fp16": torch.float16, "fp32": torch.float32}


def make_bank(
    mel2mel_run: Path,
    wavenet_run: Path | None,
    data: Path,
    out: Path,
    fidelity: Mapping[str, float] = NONE,
    credits: Mapping[str, str] = NONE,
    weights: str = "last",
    precision: str = "fp16",
) -> Path:
    """Write a bank of the runs' averaged weights and return its bank.yaml.

    wavenet_run: None for a bank without a wavenet. fidelity: vocoder -> mean correlation with
    the original, measured of these very weights; those of an older bank.yaml are dropped, as
    they belonged to others. credits: what was learnt from -> whose it is. weights: "last" or
    "best"; precision: "fp16" or, of the last, "fp32".

    Raises ValueError, before anything is written, when a run or the data set is missing or
    they do not fit together.
    """
    if (weights, precision) == ("best", "fp32"):
        raise ValueError("precision fp32: runs keep it of their last weights only, not the best")
    manifest = read_manifest(data)
    programs = manifest["programs"]
    file = _needed(mel2mel_run / FILES[weights], "; train first")
    mel2mel, mel2mel_notes = _trained_mel2mel(file, data, manifest), read_notes(file)
    config, analysis = mel2mel.config, mel2mel.config.analysis
    usual = {"loss_name": SpectralLoss().name, "loss": SpectralLoss().in_words(config.fine)}
    about = {"mel2mel": training(mel2mel_run, "frame", file, usual, analysis)}
    wavenet = None
    if wavenet_run is not None:
        advice = "; train one, or make do with --wavenet none"
        file = _needed(wavenet_run / FILES[weights], advice)
        wavenet, wavenet_notes = _trained_wavenet(file, analysis), read_notes(file)
        usual = {"loss": WAVENET_LOSS}
        about["wavenet"] = training(wavenet_run, "sample", file, usual, analysis)
    dtype = PRECISIONS[precision]
    if dtype == torch.float32:
        _refine(mel2mel, mel2mel_run)
        if wavenet:
            _refine(wavenet, wavenet_run)
    about |= {"data": data_set(data, manifest), "credits": dict(credits)}
    for name in fidelity:
        vocoders = [v for v in VOCODERS if wavenet or v != "wavenet"]
        if name not in vocoders:
            allowed = ", ".join(vocoders)
            raise ValueError(f"fidelity: unknown key {name!r}; allowed are {allowed}")
    knobs = {"brightness": [*[0.0] * config.embedding, BRIGHTNESS]}
    wavenet_config = wavenet.config if wavenet else None
    content = bank_content(config, wavenet_config, RING_OUT_S, knobs, fidelity, about)
    out.mkdir(parents=True, exist_ok=True)
    _keep_weights(mel2mel, out / "mel2mel.safetensors", dtype, mel2mel_notes)
    if wavenet:
        _keep_weights(wavenet, out / "wavenet.safetensors", dtype, wavenet_notes)
    points = mel2mel.instruments.weight.detach()
    draw_map(out / "map.png", list(programs), points.numpy())
    for name, point in zip(programs, points.tolist(), strict=True):
        patch = Patch(name, tuple(point), {"brightness": 0.5}, program=programs[name])
        save_patch(out, patch, overwrite=True)
    # Last, because it is what makes a folder a bank.
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    replace_with(out / "bank.yaml", lambda path: path.write_text(text, encoding="utf-8"))
    return out / "bank.yaml"


def _trained_mel2mel(weights: Path, data: Path, manifest: dict[str, Any]) -> Mel2Mel:
    analysis = analysis_of(manifest)
    config = Mel2MelConfig(instruments=len(manifest["programs"]), analysis=analysis)
    stated = read_config(weights)
    if stated:
        config = Mel2MelConfig(**stated | {"analysis": Analysis(**stated["analysis"])})
    heard = (config.instruments, config.analysis.rate, config.analysis.hop)
    if heard != (len(manifest["programs"]), analysis.rate, analysis.hop):
        raise ValueError(f"{weights}: was not trained on the data set in {data}")
    if not config.fine:
        raise ValueError(
            f"{weights}: has no fine head, which a bank needs for its spectral vocoder"
        )
    network = Mel2Mel(config)
    load_weights(network, weights)
    return network


def _trained_wavenet(weights: Path, analysis: Analysis) -> WaveNet:
    config = WaveNetConfig(**{"mels": analysis.mels} | read_config(weights))
    if (config.mels, config.hop) != (analysis.mels, analysis.hop):
        raise ValueError(f"{weights}: does not fit the mel2mel (other mels or another hop)")
    network = WaveNet(config)
    load_weights(network, weights)
    return network


def _refine(network: nn.Module, run: Path) -> None:
    """The same weights in single precision, which only a whole checkpoint has."""
    average = load_checkpoint(run)["average"]
    rounded = network.state_dict()
    if any(not torch.equal(average[k].half(), rounded[k].half()) for k in rounded):
        raise ValueError(f"{run}: is being trained just now; try again, or stop it first")
    network.load_state_dict(average)


def _keep_weights(
    network: nn.Module, path: Path, dtype: torch.dtype, notes: dict[str, str]
) -> None:
    """As they came: a run that goes on may have newer ones by now."""
    weights = {k: v.to(dtype).contiguous() for k, v in network.state_dict().items()}
    replace_with(path, lambda partial: save_file(weights, partial, notes))


def _needed(path: Path, advice: str) -> Path:
    if not path.is_file():
        raise ValueError(f"{path}: no such file{advice}")
    return path
