"""Trained networks -> a bank: their weights, a patch for each instrument, and a map of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from common.checks import listed
from common.files import remove_partials, write_whole
from common.names import VOCODERS
from common.patch import Patch
from daw_bridge.desk.programs import family_of
from synth.bank.bank_file import bank_content, most_knobs
from synth.bank.patch_file import save_patch
from synth.mel import Analysis
from synth.mel2mel.network import KNOBS, Mel2Mel, Mel2MelConfig
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.vocoder import check_fits
from trainer.bank.axes import name_axes
from trainer.bank.embedding_map import draw_map, place_patches
from trainer.bank.levels import level_patches
from trainer.bank.plan import BankPlan
from trainer.bank.provenance import data_set, training
from trainer.data.dataset import analysis_of
from trainer.data.manifest import Manifest, read_manifest
from trainer.mel2mel.keys_alone import has_keys
from trainer.mel2mel.losses import SpectralLoss
from trainer.mel2mel.movement import measure_movement, with_movement
from trainer.mel2mel.struck import rendered
from trainer.mel2mel.treble import STRUCK, VELOCITIES, with_treble
from trainer.mel2mel.velocity import rendered_curves, with_velocities
from trainer.run.checkpoint import BEST, LATEST, load_checkpoint
from trainer.run.weights import (
    check_patches,
    load_weights,
    mel2mel_config,
    read_config,
    read_notes,
)
from trainer.wavenet.training import LOSS as WAVENET_LOSS

RING_OUT_S = 10.0
"""Slow pads ring so long until they are 60 dB down; a harp rings 4.5 s, whatever the pedal."""
TURN = 2.0
"""From one end of a knob to the other, in the units of `KNOBS`: from -1 to 1."""
FILES = {"last": LATEST, "best": BEST}
PRECISIONS = {"fp16": torch.float16, "fp32": torch.float32}


def make_bank(plan: BankPlan) -> Path:
    """Write a bank of the runs' averaged weights, all its patches as loud as each other, and return
    its bank.yaml. Raises ValueError as `write_bank` does."""
    path = write_bank(plan)
    level_patches(plan.out)
    return path


def write_bank(plan: BankPlan) -> Path:
    """`make_bank`, but patches have no gains yet, which have to be heard.

    The fidelity of an older bank.yaml is dropped: it was measured of other weights.

    Raises ValueError, before anything is written, when a run or the data set is missing or
    they do not fit together, or the folder holds patches for another network.
    """
    if (plan.weights, plan.precision) == ("best", "fp32"):
        raise ValueError("--precision fp32: expected fp16 with --weights best, which are kept so")
    manifest = read_manifest(plan.data)
    programs, dtype = manifest.programs, PRECISIONS[plan.precision]
    file = _needed(plan.mel2mel / FILES[plan.weights], "; train first")
    mel2mel, mel2mel_notes = _trained_mel2mel(file, plan.data, manifest), read_notes(file)
    analysis = mel2mel.config.analysis
    usual = {"loss_name": SpectralLoss().name, "loss": SpectralLoss().in_words(mel2mel.config.fine)}
    about: dict[str, Any] = {"mel2mel": training(plan.mel2mel, "frame", file, usual, analysis)}
    if dtype == torch.float32:
        _refine(mel2mel, plan.mel2mel)
    if not plan.still and mel2mel.config.decay_bands and has_keys(plan.data):
        measured = measure_movement(plan.data, list(programs), mel2mel)
        mel2mel = with_movement(mel2mel, measured)
        mel2mel_notes["config"] = json.dumps(asdict(mel2mel.config))
    if plan.soundfont is not None:
        curves = rendered_curves(plan.soundfont, manifest)
        mel2mel, moved = with_velocities(mel2mel, curves, manifest)
        if analysis.wide_bands:
            notes = rendered(plan.soundfont, manifest, STRUCK, VELOCITIES)
            mel2mel = with_treble(mel2mel, list(notes), manifest)
            about["mel2mel"]["treble"] = "as that of single notes of the SoundFont"
        named = zip(programs, moved, strict=True)
        about["mel2mel"]["velocity_powers_moved"] = {name: round(by, 2) for name, by in named}
    config = mel2mel.config
    wavenet, wavenet_notes = None, {}
    if plan.wavenet is not None:
        advice = "; train one, or make do with --wavenet none"
        file = _needed(plan.wavenet / FILES[plan.weights], advice)
        wavenet = _trained_wavenet(file, analysis, plan.sharpness)
        wavenet_notes = read_notes(file) | {"config": json.dumps(asdict(wavenet.config))}
        usual = {"loss": WAVENET_LOSS}
        drawn = replace(analysis, rate=analysis.rate * wavenet.config.hop // analysis.hop)
        about["wavenet"] = training(plan.wavenet, "sample", file, usual, drawn)
        if dtype == torch.float32:
            _refine(wavenet, plan.wavenet)
    credits = {"midi": plan.midi_credit, "soundfont": plan.soundfont_credit}
    about |= {"data": data_set(plan.data, manifest), "credits": credits}
    vocoders = [v for v in VOCODERS if v != "wavenet" or wavenet]
    for name in plan.fidelity:
        if name not in vocoders:
            raise ValueError(f"--fidelity: expected one of {', '.join(vocoders)}, got {name!r}")
    knobs, points = _knobs(config), mel2mel.instruments.weight.detach()
    places = place_patches(list(programs), points.numpy())
    content = bank_content(
        config,
        wavenet.config if wavenet else None,
        RING_OUT_S,
        name_axes(mel2mel),
        places,
        knobs,
        dict(plan.fidelity),
        about,
    )
    out = plan.out
    _check_others(out, list(programs), mel2mel)
    out.mkdir(parents=True, exist_ok=True)
    remove_partials(out)  # of a command that was killed
    _keep_weights(mel2mel, out / "mel2mel.safetensors", dtype, mel2mel_notes)
    if wavenet:
        _keep_weights(wavenet, out / "wavenet.safetensors", dtype, wavenet_notes)
    draw_map(out / "map.png", list(programs), points.numpy(), places)
    for name, point in zip(programs, points.tolist(), strict=True):
        # A hundred patches are found by their families.
        tags = tuple(filter(None, [family_of(programs[name])]))
        turns = dict.fromkeys(knobs, 0.5)
        patch = Patch(name, tuple(point), turns, program=programs[name], tags=tags)
        if manifest.keys:
            low, high = manifest.keys[name]
            patch = replace(patch, keys=(low, high))
        save_patch(out, patch, overwrite=True)
    # Last, because it is what makes a folder a bank.
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    write_whole(out / "bank.yaml", text)
    return out / "bank.yaml"


def _knobs(config: Mel2MelConfig) -> dict[str, list[float]]:
    """Name -> direction of every knob that such a network can have."""
    count = most_knobs(config)
    ways = {
        name: [0.0] * (config.embedding + i) + [TURN] + [0.0] * (count - i - 1)
        for i, name in enumerate(KNOBS[:count])
    }
    return {name: way for name, way in ways.items() if config.movement or name != "movement"}


def _trained_mel2mel(weights: Path, data: Path, manifest: Manifest) -> Mel2Mel:
    analysis = analysis_of(manifest)
    config = Mel2MelConfig(instruments=len(manifest.programs), analysis=analysis)
    stated = read_config(weights)
    if stated:
        config = mel2mel_config(weights)
    heard = (config.instruments, config.analysis.rate, config.analysis.hop)
    if heard != (len(manifest.programs), analysis.rate, analysis.hop):
        raise ValueError(f"{weights}: was not trained on the data set in {data}")
    check_patches(weights, list(manifest.programs))
    if not config.fine:
        raise ValueError(
            f"{weights}: has no fine head, which a bank needs for its spectral vocoder"
        )
    network = Mel2Mel(config)
    load_weights(network, weights)
    return network


def _trained_wavenet(weights: Path, analysis: Analysis, sharpness: float | None) -> WaveNet:
    chosen = {} if sharpness is None else {"sharpness": sharpness}
    try:
        config = WaveNetConfig(**{"mels": analysis.mels} | read_config(weights) | chosen)
    except TypeError as error:
        raise ValueError(f"{weights}: states sizes that no WaveNet has ({error})") from None
    if config.mels != analysis.mels:
        raise ValueError(
            f"{weights}: does not fit the mel2mel: expected {config.mels} mel bands, "
            f"got {analysis.mels}"
        )
    try:
        check_fits(config, analysis)
    except ValueError as error:
        raise ValueError(f"{weights}: does not fit the mel2mel: {error}") from None
    network = WaveNet(config)
    load_weights(network, weights)
    return network


def _check_others(out: Path, patches: list[str], network: Mel2Mel) -> None:
    """ValueError for patches in the folder, beside those to be written, that were made for another
    network: their points would mean other sounds. Those of the same network stay as they are."""
    files = [path for path in out.glob("*.yaml") if not path.name.startswith(".")]
    others = sorted(path.stem for path in files if path.stem not in ("bank", *patches))
    weights = out / "mel2mel.safetensors"
    if not others:
        return
    try:
        before = load_file(weights)
    except (OSError, SafetensorError):
        before = {}
    own = network.state_dict()
    if before.keys() != own.keys() or any(
        not torch.equal(before[name].half(), own[name].half()) for name in own
    ):
        raise ValueError(
            f"{out}: has patches of another network: {listed(others)}; move them away, or choose "
            "another folder"
        )


def _refine(network: nn.Module, run: Path) -> None:
    """Take the same weights in single precision, which only a whole checkpoint has."""
    average = load_checkpoint(run)["average"]
    rounded = network.state_dict()
    if any(not torch.equal(average[k].half(), rounded[k].half()) for k in rounded):
        raise ValueError(f"{run}: is in training now; try again, or stop it first")
    network.load_state_dict(average)


def _keep_weights(
    network: nn.Module, path: Path, dtype: torch.dtype, notes: dict[str, str]
) -> None:
    """Write a network's weights; notes: as they were read with them, for a run that goes on may
    have newer ones by now."""
    weights = {k: v.to(dtype).contiguous() for k, v in network.state_dict().items()}
    write_whole(path, save(weights, notes))


def _needed(path: Path, advice: str) -> Path:
    if not path.is_file():
        raise ValueError(f"{path}: no such file{advice}")
    return path
