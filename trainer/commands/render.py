"""`trainer render`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Interval
from tyro.conf import arg

from common.flags import Count
from trainer.data.plan import RenderPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderCommand:
    """Render MIDI files into a data set; go on with one that was interrupted."""

    data_set: RenderPlan
    """What it is made of. The same flags give the same bytes."""
    max_minutes: Annotated[
        float,
        Interval(ge=0),
        arg(metavar="MINUTES", help_behavior_hint="(default: no limit)"),
    ] = float("inf")
    """Stop after so long. What is made until then has as much of every instrument."""
    workers: Annotated[Count, arg(help_behavior_hint="(default: one for each core)")] = field(
        default_factory=lambda: os.cpu_count() or 1
    )
    """Processes at work."""
    address: Annotated[
        str | None, arg(metavar="HOST:PORT|auto", help_behavior_hint="(default: this machine)")
    ] = None
    """Ray cluster to make the excerpts on; its machines must share the folders. auto is the one
    that this machine belongs to."""

    def run(self) -> None:
        """Make or go on with the data set; prints its manifest's path."""
        from trainer.data.render import render

        print(render(self.data_set, self.workers, self.max_minutes, self.address))
