"""What a patch is fitted to, and where it goes: the plan that `trainer fit` is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from trainer.encoder.settings import BANK

Voices = Literal["one", "several"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitPlan:
    """A recording, its notes, a bank and a name."""

    recording: Annotated[Positional[Path], arg(metavar="RECORDING")]
    """Sound file of one instrument: WAV, FLAC, Ogg, MP3 or AIFF, any rate, any channels."""
    name: Annotated[str, arg(metavar="NAME")]
    """Name of the new patch."""
    midi: Annotated[
        Path | None, arg(metavar="SCORE.mid", help_behavior_hint="(default: notes are transcribed)")
    ] = None
    """MIDI file of what is played in the recording. It may begin earlier or later."""
    voices: Voices = "one"
    """How many notes sound at once, if there is no MIDI file. several needs basic-pitch."""
    bank: Annotated[Path, arg(metavar="FOLDER")] = BANK
    """Folder of the bank whose timbre space is searched."""
    out: Annotated[
        Path | None,
        arg(metavar="FOLDER", help_behavior_hint="(default: your own patches of this bank)"),
    ] = None
    """Folder that the patch is written to."""
    report: Annotated[Path, arg(metavar="FOLDER")] = Path("runs/fit")
    """Folder of NAME.wav (the recording, then the patch), NAME.png, and NAME.mid if notes were
    transcribed."""
    instant: Annotated[bool, FlagCreatePairsOff] = False
    """Let the bank's encoder guess, and nothing more: in seconds, without notes, not as near."""
    deep: Annotated[bool, FlagCreatePairsOff] = False
    """Adapt the bank's key templates, too, for a timbre that lies outside the bank."""
    overwrite: Annotated[bool, FlagCreatePairsOff] = False
    """Replace a patch that has this name already."""
