"""Flags that several benchmarks take: each is defined, read and checked here, once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from common.names import VOCODERS
from player.flags import DEFAULT_BANK, MOST_LOOKAHEAD

if TYPE_CHECKING:
    from player.bounce import Lookahead

WAVENET_BANK = DEFAULT_BANK.parent / "gm10"
"""For what measures a WaveNet: the full-size one, at its own rate."""
DATA = Path("runs/data")
"""Where `python -m trainer render` puts a data set by default."""


class Parser(argparse.ArgumentParser):
    """Raises ValueError, in one line, for a bad flag; the caller says how it ends."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def add_bank_flag(parser: argparse.ArgumentParser, default: Path = DEFAULT_BANK) -> None:
    """--bank."""
    told = f"folder of the bank (default: {default.name})"
    parser.add_argument("--bank", type=Path, default=default, help=told)


def add_bank_flags(parser: argparse.ArgumentParser) -> None:
    """--bank and --vocoder."""
    add_bank_flag(parser)
    parser.add_argument("--vocoder", choices=VOCODERS, default="spectral")


def add_data_flag(parser: argparse.ArgumentParser) -> None:
    """--data."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data set")


def add_lookahead_flag(
    parser: argparse.ArgumentParser,
    default: Lookahead | Sequence[int] = 0,
    nargs: str | None = None,
    full: bool = True,
) -> None:
    """--lookahead. full: whether "full" is allowed, for the whole piece; not for a live server."""
    parser.add_argument(
        "--lookahead",
        type=lookahead if full else whole(0, MOST_LOOKAHEAD),
        default=default,
        nargs=nargs,
        metavar="FRAMES",
        help=f"frames that the network may look ahead, 0..{MOST_LOOKAHEAD}" + ", or full" * full,
    )


def lookahead(text: str) -> Lookahead:
    """Frames that the network may look ahead, or "full" for the whole piece.

    >>> lookahead("4"), lookahead("full")
    (4, 'full')
    """
    if text == "full":
        return "full"
    if text.isdecimal() and int(text) <= MOST_LOOKAHEAD:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected 0..{MOST_LOOKAHEAD} or full, got {text!r}")


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """Reads a whole number within low..high."""
    allowed = f"{low}..{high}" if high is not None else f"{low} or more"

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"expected a whole number, {allowed}, got {text!r}")
        return value

    return read


def above(low: float) -> Callable[[str], float]:
    """Reads a number that is more than low."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = low
        if not low < value < float("inf"):
            raise argparse.ArgumentTypeError(f"expected a number above {low:g}, got {text!r}")
        return value

    return read
