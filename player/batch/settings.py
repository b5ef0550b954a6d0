"""How every score of a batch is to be played: all that decides the sound but score and patch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from common.files import read_file
from common.version import version
from player.batch.flags import BatchFlags, FormatName, OutputsName
from player.bounce import Lookahead
from synth.bank.bank import Bank, load_bank
from synth.instrument import make_instrument

ROOT = Path(__file__).resolve().parents[2]
"""Where melstream lies. Paths within it are kept as seen from there: other machines of a cluster
may have it elsewhere."""
MOST_BYTES = 2**30
"""Of a file of a bank."""
READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the sound comes from, and how.

    bank, patches, midi_map: the bank's folder, and the user's patches and learnt controllers, if
    any; vocoder and sampler: never auto, since machines would choose differently; bank_sha256: of
    the bank and the learnt controllers, as `bank_digest` gives it.
    """

    bank: Path
    patches: Path | None
    midi_map: Path | None
    vocoder: str
    sampler: str
    seed: int
    gain: float
    lookahead: Lookahead
    format: FormatName
    outputs: OutputsName
    loudness: float | None
    bank_sha256: str

    def key(self, bank: Bank, patch: str | None, score_sha256: str) -> str:
        """Twelve hexadecimal digits that differ if a file's sound may differ."""
        played = [patch] if patch is not None else bank.names
        told = {
            name: value
            for name, value in asdict(self).items()
            if name not in ("bank", "patches", "midi_map")
        }
        told |= {
            "version": version(),
            "score": score_sha256,
            "patch": patch,
            "patches": [asdict(bank.patch(name)) for name in played],
        }
        text = json.dumps(told, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_settings(flags: BatchFlags, bank: Bank) -> tuple[Settings, str]:
    """What flags say, and a line on the vocoder. ValueError for flags that exclude each other, and
    for what the bank or the machine lacks."""
    if flags.loudness is not None and flags.gain:
        raise ValueError(f"--gain {flags.gain:g}: --loudness finds the gain; leave one of them out")
    vocoder, sampler, reason = flags.vocoder, flags.sampler, f"{flags.vocoder}, as asked"
    if vocoder == "auto" or (vocoder == "wavenet" and sampler == "auto"):
        instrument = make_instrument(bank, vocoder, sampler)
        reason = instrument.reason
        vocoder = "wavenet" if hasattr(instrument.vocoder, "sampler") else "spectral"
        sampler = getattr(instrument.vocoder, "sampler", "cpu")
    own, midi_map = flags.patches_path(), flags.midi_map_path()
    settings = Settings(
        _portable(flags.bank),
        own and _portable(own),
        midi_map and _portable(midi_map),
        vocoder,
        sampler if vocoder == "wavenet" else "",
        flags.seed,
        flags.gain,
        flags.lookahead,
        flags.format,
        flags.outputs,
        flags.loudness,
        bank_digest(bank, midi_map),
    )
    return settings, reason


def bank_of(settings: Settings) -> Bank:
    """The bank, as this machine has it. ValueError if it is another one than the driver's."""
    patches, midi_map = settings.patches, settings.midi_map
    bank = load_bank(ROOT / settings.bank, ROOT / patches if patches else None)
    if bank_digest(bank, ROOT / midi_map if midi_map else None) != settings.bank_sha256:
        raise ValueError(
            f"{bank.path}: the bank or the learnt controllers are not those of the machine where "
            "the batch was started"
        )
    return bank


def bank_digest(bank: Bank, midi_map: Path | None) -> str:
    """A SHA-256 of a bank's networks and settings, and of the file of learnt controllers.

    Patches are not counted: those that are played count for each file.
    """
    digest = hashlib.sha256()
    for path in [bank.path / "bank.yaml", *sorted(bank.path.glob("*.safetensors"))]:
        digest.update(f"{path.name}\0{file_sha256(path)}\0".encode())
    if midi_map is not None and midi_map.exists():
        digest.update(read_file(midi_map, READ_BYTES))
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """A SHA-256 of a file's content. OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _portable(path: Path) -> Path:
    whole = path.resolve()
    return whole.relative_to(ROOT) if whole.is_relative_to(ROOT) else whole
