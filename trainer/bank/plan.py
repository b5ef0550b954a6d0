"""What a bank is made of: the plan that `trainer bank` is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval
from tyro.conf import arg

from common.checks import number
from common.flags import worded

MIDI_CREDIT = "MIDI files by Bernd Krueger, http://www.piano-midi.de, CC BY-SA 3.0 DE"
SOUNDFONT_CREDIT = "MuseScore_General by S. Christian Collins, MIT licence"


def read_fidelity(words: list[str]) -> dict[str, float]:
    """NAME=R each, R a correlation. Raises ValueError that says what is allowed."""
    measured: dict[str, float] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            value = number(name, float(text), -1, 1)
        except ValueError:
            raise ValueError(f"expected NAME=R with R from -1 to 1, got {word!r}") from None
        if name in measured:
            raise ValueError(f"{name} is there twice")
        measured[name] = value
    return measured


def _read_path(words: list[str]) -> Path | None:
    return None if words == ["none"] else Path(words[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class BankPlan:
    """Which runs become a bank, and what is said of them."""

    mel2mel: Annotated[Path, arg(metavar="FOLDER")] = Path("runs/mel2mel")
    """Run of the network from notes to spectra."""
    wavenet: Annotated[
        Path | None, worded(_read_path, lambda path: [str(path or "none")], "FOLDER|none", 1)
    ] = Path("runs/wavenet")
    """Run of the vocoder network, or none."""
    data: Annotated[Path, arg(metavar="FOLDER")] = Path("runs/data")
    """Data set that they were trained on."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("patches/gm10")
    """Folder of the bank."""
    weights: Literal["last", "best"] = "last"
    """Weights of the last checkpoint, or of the one with the lowest held-out loss."""
    precision: Literal["fp16", "fp32"] = "fp16"
    """Precision of the numbers in the bank's files; fp32 goes with the last weights only."""
    sharpness: Annotated[
        float | None,
        Interval(ge=0.1, le=20),
        arg(metavar="NUMBER", help_behavior_hint="(default: as it was trained)"),
    ] = None
    """What the WaveNet's logits are multiplied by before a class is drawn."""
    still: bool = False
    """Leave out the movement of held notes, which else is measured from the data set's single keys
    if it has them and the network has decay bands."""
    soundfont: Annotated[
        Path | None, worded(_read_path, lambda path: [str(path or "none")], "FILE|none", 1)
    ] = None
    """SoundFont that the data set was rendered with: loudness by velocity is then measured on it
    and corrected. none leaves it as it was learnt."""
    fidelity: Annotated[
        Mapping[str, float],
        worded(
            read_fidelity,
            lambda measured: [f"{name}={r}" for name, r in measured.items()],
            "VOCODER=R ...",
        ),
        arg(help_behavior_hint="(default: not measured)"),
    ] = field(default_factory=dict)
    """Measured mean correlations with the original, such as spectral=0.71 wavenet=0.2."""
    midi_credit: Annotated[str, arg(metavar="TEXT")] = MIDI_CREDIT
    """Whose MIDI files were learnt from, and their licence."""
    soundfont_credit: Annotated[str, arg(metavar="TEXT")] = SOUNDFONT_CREDIT
    """The same for the SoundFont."""
