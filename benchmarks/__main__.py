"""Measure melstream: one command, one table, the same rows in a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.flags import Parser
from benchmarks.rows import keep, show

MODULES = {
    "tuning": "measures.tuning",
    "fidelity": "measures.fidelity",
    "transcription": "measures.transcription",
    "latency": "measures.latency",
    "sampler": "measures.sampler",
    "divergence": "measures.divergence",
    "ladder": "measures.ladder",
    "soak": "measures.soak",
    "embedding": "measures.embedding",
    "fidelity-plots": "report.plots",
    "embedding-map": "report.embedding_map",
    "report": "report.report",
}
"""Command -> a module with SUMMARY, add_flags(parser) and measure(options) -> rows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; 0 when done, 2 for bad input, which is reported in one line."""
    parser = Parser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    asked = list(sys.argv[1:] if arguments is None else arguments)
    try:
        for name, room in MODULES.items():
            if asked[:1] == [name]:
                module = import_module(f"benchmarks.{room}")
                command = commands.add_parser(name, help=module.SUMMARY, description=module.__doc__)
                command.add_argument("--json", type=Path, help="also write the rows to this file")
                module.add_flags(command)
                command.set_defaults(measure=module.measure)
            else:
                # The others' libraries need not be installed.
                commands.add_parser(name)
        options = parser.parse_args(asked)
        torch.set_num_threads(1)
        rows = options.measure(options)
        show(rows)
        if options.json:
            keep(rows, options.json)
    except (ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
