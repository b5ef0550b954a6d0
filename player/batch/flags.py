"""What can be asked for: `run_server.py batch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval
from tyro.conf import Positional, arg

from common.flags import Count
from player.flags import CommonFlags, Frames

LUFS = (-60.0, -5.0)
"""Within which sound can be brought to a loudness."""
OutputsName = Literal["mix", "parts"]
FormatName = Literal["wav", "flac"]


@dataclass(frozen=True, kw_only=True)
class BatchFlags(CommonFlags):
    """Render many MIDI files, each with several patches. A file that is there is not made again."""

    scores: Annotated[Positional[tuple[Path, ...]], arg(metavar="SCORES...", help_behavior_hint="")]
    """MIDI files, and folders of such: those in them and below."""
    out: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of the sound files and of manifest.jsonl, which says what each is. On a cluster, one
    that all machines share."""
    patch: Annotated[
        tuple[str, ...],
        arg(metavar="NAME...", help_behavior_hint="(default: each file's own programs)"),
    ] = ()
    """Patches of every channel but drums, one file for each."""
    lookahead: Annotated[Frames | Literal["full"], arg(metavar="FRAMES|full")] = 0
    """Frames of 8 ms that the network may look ahead, or full for the whole piece."""
    format: FormatName = "wav"
    """wav has 32-bit floats, the same file as render's; flac has 24 bits, and is smaller."""
    outputs: OutputsName = "mix"
    """parts: a file for each part besides the mix."""
    loudness: Annotated[
        float | None, Interval(ge=LUFS[0], le=LUFS[1]), arg(metavar="LUFS", help_behavior_hint="")
    ] = None
    """Instead of the limiter: one gain for each piece, so that it is so loud (ITU-R BS.1770-4), but
    peaks at -1 dB at most."""
    workers: Annotated[
        Count | None,
        arg(metavar="N", help_behavior_hint="(default: one for each core, or one without Ray)"),
    ] = None
    """Processes at work."""
    address: Annotated[
        str | None, arg(metavar="HOST:PORT|auto", help_behavior_hint="(default: this machine)")
    ] = None
    """Ray cluster to join; auto is the one that this machine belongs to."""
