"""bank.yaml: the sizes of a bank's networks, its knobs, and what is known about it.

Read and checked as a whole. Sizes are those of `Analysis`, `Mel2MelConfig` and `WaveNetConfig`,
under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval
from pydantic import ConfigDict, Strict, with_config

from common.checks import brief
from common.documents import fit, read_yaml
from common.names import VocoderName
from common.patch import NAME
from synth.bank.patch_file import Coordinate
from synth.mel import Analysis, wide_edges
from synth.mel2mel.network import KNOBS, Mel2MelConfig
from synth.vocoders.wavenet.network import WaveNetConfig
from synth.vocoders.wavenet.vocoder import check_fits

known_keys_only = with_config(ConfigDict(extra="forbid"))


@known_keys_only
@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSizes:
    """Of `Analysis`; rate in Hz, hop and window in samples."""

    rate: Annotated[int, Strict(), Interval(ge=8_000, le=192_000)]
    hop: Annotated[int, Strict(), Interval(ge=16, le=8_192)]
    window: Annotated[int, Strict(), Interval(ge=64, le=65_536)]
    wide_bands: Annotated[int, Strict(), Interval(ge=0, le=1_024)] = 0


@known_keys_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Mel2MelSizes:
    """Of `Mel2MelConfig`."""

    instruments: Annotated[int, Strict(), Interval(ge=1, le=10_000)]
    embedding: Annotated[int, Strict(), Interval(ge=1, le=64)]
    hidden: Annotated[int, Strict(), Interval(ge=1, le=4_096)]
    timbre_features: Annotated[int, Strict(), Interval(ge=0, le=256)]
    decay_bands: Annotated[int, Strict(), Interval(ge=0, le=16)] = 0
    blend: Annotated[int, Strict(), Interval(ge=0, le=1)] = 0
    movement: Annotated[int, Strict(), Interval(ge=0, le=1)] = 0
    basis: Annotated[int, Strict(), Interval(ge=0, le=256)] = 0


@known_keys_only
@dataclass(frozen=True, slots=True, kw_only=True)
class WaveNetSizes:
    """Of `WaveNetConfig`."""

    layers: Annotated[int, Strict(), Interval(ge=1, le=100)]
    cycle: Annotated[int, Strict(), Interval(ge=1, le=14)]
    residual: Annotated[int, Strict(), Interval(ge=1, le=1_024)]
    skip: Annotated[int, Strict(), Interval(ge=1, le=4_096)]
    guide: Annotated[int, Strict(), Interval(ge=0, le=64)] = 0
    sharpness: Annotated[float, Strict(), Interval(ge=0.1, le=20)] = 1.0
    emphasis: Annotated[float, Strict(), Interval(ge=0, le=0.99)] = 0.0


@known_keys_only
@dataclass(frozen=True, slots=True, kw_only=True)
class BankFile:
    """What bank.yaml holds. ring_out_s, axes, places, knobs, fidelity and about as in `Bank`;
    wavenet: None for a bank without one."""

    audio: AudioSizes
    mels: Annotated[int, Strict(), Interval(ge=1, le=1_024)]
    mel2mel: Mel2MelSizes
    wavenet: WaveNetSizes | None = None
    ring_out_s: Annotated[float, Strict(), Interval(ge=0, le=60)]
    axes: tuple[Any, ...] | None = None
    places: dict[Any, tuple[Coordinate, ...]] | None = None
    knobs: dict[Any, tuple[Coordinate, ...]] | None = None
    fidelity: dict[VocoderName, Annotated[float, Strict(), Interval(ge=-1, le=1)]] | None = None
    about: dict[Any, Any] | None = None

    @property
    def mel2mel_config(self) -> Mel2MelConfig:
        analysis = Analysis(mels=self.mels, **asdict(self.audio))
        return Mel2MelConfig(analysis=analysis, **asdict(self.mel2mel))

    @property
    def wavenet_config(self) -> WaveNetConfig | None:
        return WaveNetConfig(mels=self.mels, **asdict(self.wavenet)) if self.wavenet else None


def read_bank_file(path: Path) -> BankFile:
    """Raises ValueError, in one line that names the file and the field."""
    return check_bank_content(str(path), read_yaml(path))


def check_bank_content(where: str, content: Any) -> BankFile:
    """What stands in a bank.yaml, checked; ValueError, in one line that begins with where."""
    file = fit(where, content, BankFile)
    audio, wavenet, knobs = file.audio, file.wavenet_config, file.knobs or {}
    if audio.window % (2 * audio.hop):
        raise ValueError(
            f"{where}: audio: window: expected a multiple of twice the hop of {audio.hop}, "
            f"got {audio.window}"
        )
    try:
        wide_edges(file.mel2mel_config.analysis)
    except ValueError as error:
        raise ValueError(f"{where}: audio: {error}") from None
    if wavenet:
        try:
            check_fits(wavenet, file.mel2mel_config.analysis)
        except ValueError as error:
            raise ValueError(f"{where}: audio: {error}") from None
    if wavenet and wavenet.emphasis and not wavenet.guide:
        raise ValueError(
            f"{where}: wavenet: emphasis: expected 0 without a guide, got {wavenet.emphasis}"
        )
    if file.mel2mel.movement and not (file.mel2mel.decay_bands and file.mel2mel.timbre_features):
        raise ValueError(
            f"{where}: mel2mel: movement: expected 0 without decay_bands and timbre_features, got 1"
        )
    axes = file.axes or ()
    for i, name in enumerate(axes):
        _check_name(f"{where}: axes: {i}", name)
    if len(set(axes)) != len(axes) or len(axes) not in (0, file.mel2mel.embedding):
        raise ValueError(
            f"{where}: axes: expected {file.mel2mel.embedding} different names, got "
            f"{brief(list(axes))}"
        )
    for name, place in (file.places or {}).items():
        _check_name(f"{where}: places", name)
        if len(place) != 2 or not all(0 <= share <= 1 for share in place):
            raise ValueError(
                f"{where}: places: {name}: expected 2 numbers from 0 to 1, got {brief(list(place))}"
            )
    # One knob that reaches behind the embedding lengthens all of them.
    size, config = file.mel2mel.embedding, file.mel2mel_config
    sizes = range(size, size + most_knobs(config) + 1)
    size = max((len(way) for way in knobs.values() if len(way) in sizes), default=size)
    for name, way in knobs.items():
        # It becomes part of an OSC address.
        _check_name(f"{where}: knobs", name)
        if len(way) != size:
            raise ValueError(
                f"{where}: knobs: {name}: expected {size} numbers, got {brief(list(way))}"
            )
    return file


def _check_name(where: str, name: Any) -> None:
    """Raises ValueError unless it is one word."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or " " in name:
        raise ValueError(f"{where}: expected a name of letters, digits, - or _, got {brief(name)}")


def most_knobs(mel2mel: Mel2MelConfig) -> int:
    """How many of `KNOBS` such a network can have behind its embedding."""
    if mel2mel.timbre_features and mel2mel.decay_bands and mel2mel.blend:
        return len(KNOBS)
    return 1 + mel2mel.movement


def bank_content(
    mel2mel: Mel2MelConfig,
    wavenet: WaveNetConfig | None,
    ring_out_s: float,
    axes: Sequence[str],
    places: Mapping[str, list[float]],
    knobs: Mapping[str, list[float]],
    fidelity: Mapping[str, float],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """What is to stand in the bank.yaml of such networks. ValueError where it would be refused."""
    content = {
        "audio": _sizes(AudioSizes, mel2mel.analysis),
        "mels": mel2mel.analysis.mels,
        "mel2mel": _sizes(Mel2MelSizes, mel2mel),
        "wavenet": _sizes(WaveNetSizes, wavenet) if wavenet else None,
        "ring_out_s": ring_out_s,
        **({"axes": list(axes)} if axes else {}),
        **({"places": dict(places)} if places else {}),
        "knobs": dict(knobs),
        "fidelity": dict(fidelity),
        "about": dict(about),
    }
    check_bank_content("bank.yaml", content)
    return content


def _sizes(
    shape: type[AudioSizes | Mel2MelSizes | WaveNetSizes],
    config: Analysis | Mel2MelConfig | WaveNetConfig,
) -> dict[str, float]:
    """A configuration's sizes; those that are as they are when left out, are left out."""
    sizes = {f.name: getattr(config, f.name) for f in fields(shape)}
    return {f.name: sizes[f.name] for f in fields(shape) if sizes[f.name] != f.default}
