"""Sizes of the WaveNet and how it is taught: flags of its command. No torch: help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Interval
from tyro.conf import arg

from common.flags import Count, Positive, Share

GUIDED_ALONE = ("own_share", "own_after", "own_every", "sharpness")
"""Settings that only a network with a guide has."""


@dataclass(frozen=True, slots=True)
class WaveNetSizes:
    """Sizes of the network: fields of its config."""

    layers: Count = 20
    """Gated layers."""
    cycle: Count = 10
    """Layers after which the dilations start again at 1."""
    residual: Count = 64
    """Channels from layer to layer."""
    skip: Count = 256
    """Channels from the layers to the output."""


@dataclass(frozen=True, slots=True)
class WaveNetSettings:
    """All that is the WaveNet's own in a training run."""

    sizes: WaveNetSizes = WaveNetSizes()
    """How large the network is."""
    mel2mel: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: true spectra only)")
    ] = None
    """Bank or run of the network whose predicted spectra the WaveNet also learns from."""
    predicted_share: Annotated[
        float | None,
        Interval(ge=0, le=1),
        arg(metavar="SHARE", help_behavior_hint="(default: 0.5 with --mel2mel, else 0)"),
    ] = None
    """Share of the sequences with predicted spectra, 0 to 1."""
    guides: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: no guide)")
    ] = None
    """Folder that `guides` made: the network follows a guide, and learns from these alone."""
    own_share: Share = 0.75
    """Share of the sequences with a guide that are heard as the network itself draws them."""
    own_after: Annotated[int, Interval(ge=0), arg(metavar="N")] = 1_000
    """Steps until its own takes are worth learning from."""
    own_every: Count = 20
    """Steps between fresh takes of its own."""
    sharpness: Annotated[float, Interval(ge=0.1, le=20)] = 20.0
    """What logits are multiplied by where a network with a guide draws, here and in play."""
    clip_every_minutes: Annotated[
        Positive | None, arg(metavar="MINUTES", help_behavior_hint="(default: never)")
    ] = None
    """Time between clips: two seconds of held-out music, as sound and as a picture."""
    compile: bool = False
    """Let torch.compile make the steps if there is a compiler; by default they are hand-made."""

    def check(self) -> None:
        """ValueError if spectra are to be predicted and nothing predicts them, for what guides
        leave no choice of, or for what means nothing without them."""
        if self.predicted_share and self.mel2mel is None:
            raise ValueError("--predicted-share: needs --mel2mel, a bank or a run that predicts")
        if self.guides is not None and (self.mel2mel is not None or self.compile):
            flag = "--compile" if self.compile else "--mel2mel"
            raise ValueError(f"{flag}: expected without --guides, got both")
        usual = WaveNetSettings()
        for name in GUIDED_ALONE:
            if self.guides is None and getattr(self, name) != getattr(usual, name):
                raise ValueError(f"--{name.replace('_', '-')}: needs --guides, a folder of them")

    @property
    def share(self) -> float:
        """Share of the sequences with predicted spectra."""
        if self.mel2mel is None:
            return 0.0
        return 0.5 if self.predicted_share is None else self.predicted_share
