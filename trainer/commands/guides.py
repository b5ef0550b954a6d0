"""`trainer guides`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Interval
from tyro.conf import arg

from common.flags import Count


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidesCommand:
    """Make the guides that a WaveNet learns to follow; go on where it was interrupted."""

    data: Annotated[Path, arg(metavar="FOLDER")] = Path("runs/data")
    """The data set."""
    mel2mel: Annotated[Path, arg(metavar="FOLDER")]
    """Bank or run of the network whose predicted spectra the guides are made of."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("runs/guides")
    """Folder of the guides."""
    emphasis: Annotated[float, Interval(ge=0, le=0.99)] = 0.85
    """Share of the sample before that is taken from each before it becomes a class."""
    workers: Annotated[Count, arg(help_behavior_hint="(default: one for each core)")] = field(
        default_factory=lambda: os.cpu_count() or 1
    )
    """Processes at work."""

    def run(self) -> None:
        """Make or go on with the guides; prints the path of guides.yaml."""
        from trainer.wavenet.guides import make_guides

        print(make_guides(self.data, self.mel2mel, self.out, self.emphasis, self.workers))
