"""`python -m benchmarks {tuning,fidelity}`: one command, one table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from run_server import DEFAULT_BANK
from synth.bank import Bank, load_bank
from synth.spectral import SpectralVocoder
from synth.vocoder import Vocoder
from synth.wavenet_vocoder import WaveNetVocoder


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark; 0 when done, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", choices=("tuning", "fidelity"))
    parser.add_argument("--bank", type=Path, default=DEFAULT_BANK)
    parser.add_argument("--vocoder", choices=("spectral", "wavenet"), default="spectral")
    parser.add_argument("--lookahead", default="4", help="frames, or full")
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="for fidelity")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each test piece")
    parser.add_argument("--pieces", type=int, default=14, help="how many test pieces")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        bank = load_bank(options.bank)
        rows = _measure(options, bank, _vocoder(bank, options.vocoder))
    except (ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    from benchmarks.table import keep, show

    show(rows)
    keep(rows, options.json)
    return 0


def _measure(options: argparse.Namespace, bank: Bank, vocoder: Vocoder) -> list:
    if options.benchmark == "tuning":
        from benchmarks.tuning import tuning

        return tuning(bank, vocoder, options.vocoder, options.lookahead)
    from benchmarks.fidelity import fidelity

    return fidelity(
        bank,
        vocoder,
        options.vocoder,
        options.lookahead,
        options.data,
        options.pieces,
        options.seconds,
    )


def _vocoder(bank: Bank, name: str) -> Vocoder:
    if name == "spectral":
        return SpectralVocoder(bank.analysis)
    return WaveNetVocoder(bank.wavenet(), "cpu")


if __name__ == "__main__":
    sys.exit(main())
