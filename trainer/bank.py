"""Trained networks -> a bank: weights in half precision, one patch for each instrument.

Knobs come from listening: brightness is the direction of the embedding space along which the
network's own spectra rise most in centroid.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from synth.mel import Analysis, mel_filters
from synth.mel2mel import ROLL_CHANNELS, Mel2Mel, Mel2MelConfig
from synth.patch import Patch, save_patch
from synth.templates import LOWEST_KEY
from synth.wavenet import WaveNet, WaveNetConfig
from trainer.loop import load_weights, replace_with

RING_OUT_S = 5.0
"""The harp rings up to 4.5 s after its key, whatever the pedal."""
KNOB_REACH = 0.5
"""A knob at its end moves the timbre by half this share of the instruments' own spread."""
ATTRIBUTION = {
    "midi": "MIDI files by Bernd Krueger, http://www.piano-midi.de, CC BY-SA 3.0 DE",
    "soundfont": "MuseScore_General by S. Christian Collins, MIT licence",
}


def make_bank(mel2mel_run: Path, wavenet_run: Path, data: Path, out: Path) -> Path:
    """Write a bank of the runs' averaged weights and return its bank.yaml.

    Fidelity figures of an older bank.yaml are dropped: they belonged to other weights.
    Raises ValueError when a run or the data set's manifest is missing or does not fit.
    """
    manifest = yaml.safe_load(_needed(data / "manifest.yaml").read_text())
    names, programs = list(manifest["programs"]), manifest["programs"]
    analysis = Analysis(rate=manifest["rate"], hop=manifest["hop"])
    config = Mel2MelConfig(instruments=len(names), analysis=analysis)
    mel2mel = Mel2Mel(config)
    load_weights(mel2mel, _needed(mel2mel_run / "weights.safetensors"))
    about = {"mel2mel": _history(mel2mel_run)}
    out.mkdir(parents=True, exist_ok=True)
    _copy_weights(mel2mel_run, out / "mel2mel.safetensors")
    wavenet_sizes = None
    if (wavenet_run / "weights.safetensors").exists():
        wavenet = WaveNetConfig(mels=analysis.mels)
        load_weights(WaveNet(wavenet), wavenet_run / "weights.safetensors")
        _copy_weights(wavenet_run, out / "wavenet.safetensors")
        about["wavenet"] = _history(wavenet_run)
        wavenet_sizes = {k: getattr(wavenet, k) for k in ("layers", "cycle", "residual", "skip")}
    about["data"] = manifest | ATTRIBUTION
    embeddings = mel2mel.instruments.weight.detach()
    content = {
        "audio": {"rate": analysis.rate, "hop": analysis.hop, "window": analysis.window},
        "mels": analysis.mels,
        "mel2mel": {
            "instruments": config.instruments,
            "embedding": config.embedding,
            "hidden": config.hidden,
            "timbre_features": config.timbre_features,
        },
        "wavenet": wavenet_sizes,
        "ring_out_s": RING_OUT_S,
        "knobs": {"brightness": [round(x, 4) for x in _brightness(mel2mel).tolist()]},
        "about": about,
    }
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    replace_with(out / "bank.yaml", lambda path: path.write_text(text))
    for name, point in zip(names, embeddings.tolist(), strict=True):
        patch = Patch(name, tuple(point), {"brightness": 0.5}, program=programs[name])
        save_patch(out, patch, overwrite=True)
    return out / "bank.yaml"


def _brightness(mel2mel: Mel2Mel) -> Tensor:
    """The direction of rising spectral centroid, as long as the instruments lie apart.

    A plane fitted to the log centroid of a middle C over random points among the
    instruments; its slope is the direction.
    """
    points = mel2mel.instruments.weight.detach()
    random = torch.Generator().manual_seed(0)
    shares = torch.rand(200, len(points), generator=random) ** 4
    mixed = (shares / shares.sum(1, keepdim=True)) @ points
    roll = torch.zeros(1, 40, ROLL_CHANNELS)
    roll[:, 5:, 60 - LOWEST_KEY] = roll[:, 5, 88 + 60 - LOWEST_KEY] = 0.7
    filters = mel_filters(mel2mel.config.analysis)
    centres = (filters * torch.arange(len(filters))[:, None]).sum(0) / filters.sum(0)
    with torch.no_grad():
        mel = mel2mel(roll.expand(len(mixed), -1, -1), mixed[:, None], None).mel
    linear = mel[:, 10:].exp().mean(1)
    centroid = ((linear * centres).sum(1) / linear.sum(1)).log()
    plane = torch.cat([mixed, torch.ones(len(mixed), 1)], 1)
    slope = torch.linalg.lstsq(plane, centroid[:, None]).solution[:-1, 0]
    return slope / slope.norm() * points.std(0).norm() * 2 * KNOB_REACH


def _history(run: Path) -> dict[str, object]:
    """What the run's log says it has seen, in its last lines."""
    told: dict[str, object] = {}
    for line in _needed(run / "log.jsonl").read_text().splitlines():
        told |= json.loads(line)
    return told | {"device": "cpu"}


def _copy_weights(run: Path, target: Path) -> None:
    weights = load_file(run / "weights.safetensors")
    replace_with(target, lambda path: save_file(weights, path))


def _needed(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; train first")
    return path
