"""Rows of figures: shown as a table, kept as JSON with when, where and of what they are."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from datetime import date
from pathlib import Path

import torch

from player.flags import DEFAULT_BANK
from synth.bank.bank import Bank
from synth.vocoders.contract import Vocoder
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.vocoder import WaveNetVocoder

Row = dict[str, str | int | float | bool | None]


def show(rows: list[Row]) -> None:
    """Print rows as aligned columns; all rows have the first one's keys."""
    columns = list(rows[0])
    cells = [columns, *([_text(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def keep(rows: list[Row], path: Path | None) -> None:
    """Write rows as a JSON list, each with when, of what and where, if a path was asked for."""
    if path:
        path.write_text(json.dumps([row | stated() for row in rows], indent=1) + "\n")


def stated() -> dict[str, str]:
    """What every kept figure says of itself: date, commit and machine."""
    return {"date": date.today().isoformat(), "commit": _commit(), "machine": machine()}


def machine() -> str:
    """Processor, how many of it, and a GPU if there is one, such as "Intel Xeon, 2 cores"."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores{gpu}"


def add_bank_flags(parser: argparse.ArgumentParser) -> None:
    """--bank and --vocoder, as most benchmarks take them."""
    parser.add_argument("--bank", type=Path, default=DEFAULT_BANK, help="folder of a bank")
    parser.add_argument("--vocoder", choices=("spectral", "wavenet"), default="spectral")


def make_vocoder(bank: Bank, name: str) -> Vocoder:
    """The vocoder of that name, on this machine's CPU."""
    if name == "spectral":
        return SpectralVocoder(bank.analysis)
    return WaveNetVocoder(bank.wavenet(), "cpu")


def _commit() -> str:
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    answer = subprocess.run(asked, capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


def _text(value: str | int | float | bool | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
