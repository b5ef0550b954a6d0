"""A bank: one trained model and its instruments, as a folder.

bank.yaml states the sizes, knobs and provenance; mel2mel.safetensors and wavenet.safetensors
hold the networks; every other .yaml is a patch. Everything is checked when it is read, and
nothing in it is ever executed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from common.fields import any_mapping, check_mapping, number, numbers, read_mapping, whole
from common.patch import COORDINATE, NAME, Patch, as_saved, check_name, load_patch, save_patch
from synth.mel import Analysis, wide_edges
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from synth.mel2mel.tilt import with_tilt
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig

SIZES = {
    "audio": {"rate": (8_000, 192_000), "hop": (16, 8_192), "window": (64, 65_536)},
    "mel2mel": {
        "instruments": (1, 10_000),
        "embedding": (1, 64),
        "hidden": (1, 4_096),
        "timbre_features": (0, 256),
    },
    "wavenet": {
        "layers": (1, 100),
        "cycle": (1, 14),
        "residual": (1, 1_024),
        "skip": (1, 4_096),
    },
}
"""Whole numbers that bank.yaml must state, and what each may be."""
MAY_STATE = {
    "audio": {"wide_bands": (0, 1_024)},
    "mel2mel": {"decay_bands": (0, 16), "blend": (0, 1)},
}
"""Those that it need not."""
VOCODERS = ("spectral", "wavenet")


@dataclass(slots=True)
class Bank:
    """A loaded bank; as a patch book it may be asked and saved to by any thread.

    ring_out_s: seconds after a part's last key within which it has died away. knobs: name ->
    direction in the embedding space; if one has a number more than an embedding, all have, and
    the last is a tilt of the spectrum (synth/mel2mel/tilt.py), which knobs alone reach. fidelity:
    vocoder -> mean correlation with the original, as measured when the bank was made. about:
    provenance, as bank.yaml tells it.
    """

    path: Path
    mel2mel_config: Mel2MelConfig
    wavenet_config: WaveNetConfig | None
    ring_out_s: float
    knobs: Mapping[str, tuple[float, ...]]
    fidelity: Mapping[str, float]
    about: Mapping[str, Any]
    patches: dict[str, Patch]
    _saving: threading.Lock = field(default_factory=threading.Lock)

    @property
    def analysis(self) -> Analysis:
        return self.mel2mel_config.analysis

    @property
    def names(self) -> list[str]:
        """All patches: those that a program selects in its order, then the rest by name."""
        order = {n: (p.program is None, p.program or 0, n) for n, p in self.patches.items()}
        return sorted(order, key=order.__getitem__)

    @property
    def embedding_size(self) -> int:
        return self.mel2mel_config.embedding

    @property
    def programs(self) -> dict[int, str]:
        """General MIDI program -> patch name."""
        patches = (self.patches[name] for name in self.names)
        return {p.program: p.name for p in patches if p.program is not None}

    def patch(self, name: str) -> Patch:
        """The patch of that name; ValueError lists those there are."""
        try:
            return self.patches[name]
        except KeyError:
            raise ValueError(
                f"no patch {name!r} in {self.path}; it has: {', '.join(self.names)}"
            ) from None

    def save(
        self,
        name: str,
        *,
        embedding: tuple[float, ...],
        knobs: Mapping[str, float],
        gain_db: float,
        pan: float,
        overwrite: bool,
    ) -> Patch:
        """Keep a patch, on disk first, and return it as the disk would.

        ValueError on a bad name, a taken one unless asked, or what does not fit the bank.
        """
        check_name(name)
        with self._saving:
            known = self.patches.get(name)
            program = known.program if known else None
            patch = Patch(name, tuple(embedding), dict(knobs), gain_db, pan, program)
            patch = as_saved(patch, self.embedding_size, self.knobs)
            save_patch(self.path, patch, overwrite)
            # A new dictionary, so that a reader never sees one change under it.
            self.patches = {**self.patches, name: patch}
        return patch

    @property
    def tilts(self) -> bool:
        """Whether the network takes one number more than an embedding."""
        return any(len(way) > self.embedding_size for way in self.knobs.values())

    def point(self, name: str) -> tuple[float, ...]:
        """What the network takes of a patch, its knobs at rest; ValueError if there is none."""
        return self.patch(name).embedding + (0.0,) * self.tilts

    def mel2mel(self) -> Mel2Mel:
        """The network, for playing. Raises ValueError when the weights do not fit."""
        network = _filled(Mel2Mel(self.mel2mel_config), self.path / "mel2mel.safetensors")
        return with_tilt(network) if self.tilts else network

    def wavenet(self) -> WaveNet:
        """The vocoder's network. Raises ValueError when there is none, or it does not fit."""
        if self.wavenet_config is None:
            raise ValueError(f"{self.path}: this bank has no wavenet; use --vocoder spectral")
        return _filled(WaveNet(self.wavenet_config), self.path / "wavenet.safetensors")


def load_bank(path: str | Path) -> Bank:
    """Read and check a bank's folder; its networks are read later, by those who play them.

    Raises ValueError, in one line that names the file and the field.
    """
    folder = Path(path)
    where = folder / "bank.yaml"
    if not where.is_file():
        raise ValueError(f"{folder}: no bank here (there is no bank.yaml)")
    parts = ("audio", "mels", "mel2mel", "wavenet", "ring_out_s", "knobs", "fidelity", "about")
    content = read_mapping(where, parts, ("audio", "mels", "mel2mel", "ring_out_s"))
    mels = whole(f"{where}: mels", content["mels"], 1, 1_024)
    audio = _sizes(where, "audio", content["audio"])
    if audio["window"] % (2 * audio["hop"]):
        raise ValueError(
            f"{where}: audio: window is {audio['window']}, but must be a multiple of twice "
            f"the hop of {audio['hop']}"
        )
    mel2mel = Mel2MelConfig(
        analysis=_analysis(where, audio, mels), **_sizes(where, "mel2mel", content["mel2mel"])
    )
    wavenet = None
    if content.get("wavenet") is not None:
        wavenet = WaveNetConfig(mels=mels, **_sizes(where, "wavenet", content["wavenet"]))
        if wavenet.hop != audio["hop"]:
            raise ValueError(
                f"{where}: audio: hop is {audio['hop']}, but must be {wavenet.hop} for a wavenet"
            )
    size = mel2mel.embedding
    turned = any_mapping(f"{where}: knobs", content.get("knobs"))
    tilted = any(isinstance(way, list) and len(way) == size + 1 for way in turned.values())
    knobs = {
        check_knob(where, name): numbers(f"{where}: knobs: {name}", way, size + tilted, COORDINATE)
        for name, way in turned.items()
    }
    told = any_mapping(f"{where}: fidelity", content.get("fidelity"))
    check_mapping(f"{where}: fidelity", told, VOCODERS, ())
    patches = {}
    for file in sorted(folder.glob("*.yaml")):
        if file != where and not file.name.startswith("."):
            patches[file.stem] = load_patch(file, size, knobs)
    if not patches:
        raise ValueError(f"{folder}: no patch here (there is no .yaml beside bank.yaml)")
    return Bank(
        folder,
        mel2mel,
        wavenet,
        number(f"{where}: ring_out_s", content["ring_out_s"], 0, 60),
        knobs,
        {k: number(f"{where}: fidelity: {k}", v, -1, 1) for k, v in told.items()},
        any_mapping(f"{where}: about", content.get("about")),
        patches,
    )


def check_knob(where: Path, name: str) -> str:
    """name, if a knob may be called so: it becomes part of an OSC address."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or " " in name:
        raise ValueError(f"{where}: knobs: {name!r} must be letters, digits, - or _")
    return name


def _analysis(where: Path, audio: dict[str, int], mels: int) -> Analysis:
    analysis = Analysis(**audio, mels=mels)
    try:
        if analysis.wide_bands:
            wide_edges(analysis)
    except ValueError as error:
        raise ValueError(f"{where}: audio: {error}") from None
    return analysis


def _sizes(where: Path, part: str, content: Any) -> dict[str, int]:
    bounds = SIZES[part] | MAY_STATE.get(part, {})
    check_mapping(f"{where}: {part}", content, bounds, SIZES[part])
    return {k: whole(f"{where}: {part}: {k}", v, *bounds[k]) for k, v in content.items()}


def _filled(network: nn.Module, path: Path) -> nn.Module:
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: not a safetensors file ({reason})") from None
    wanted = network.state_dict()
    for name in sorted(wanted.keys() | weights.keys()):
        if name not in weights:
            raise ValueError(f"{path}: tensor {name} is missing, but bank.yaml's sizes need it")
        if name not in wanted:
            raise ValueError(f"{path}: unknown tensor {name}; bank.yaml's sizes have no such one")
        if wanted[name].shape != weights[name].shape:
            raise ValueError(
                f"{path}: tensor {name} is {list(weights[name].shape)}, "
                f"but bank.yaml says {list(wanted[name].shape)}"
            )
        if not torch.isfinite(weights[name]).all():
            raise ValueError(f"{path}: tensor {name} has values that are not finite")
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)
