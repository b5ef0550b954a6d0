"""`python -m benchmarks NAME`: one command, one table, the same rows as JSON."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.rows import keep, show

MODULES = {
    **{
        name: f"measures.{name}"
        for name in (
            "tuning",
            "fidelity",
            "transcription",
            "latency",
            "sampler",
            "divergence",
            "ladder",
            "soak",
            "embedding",
        )
    },
    "report": "report.report",
}
"""Each is a module with SUMMARY, add_flags(parser) and measure(options) -> rows."""


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark; 0 when done, 2 for bad input, told in one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    asked = sys.argv[1:] if arguments is None else arguments
    for name in MODULES:
        if asked[:1] == [name]:
            module = import_module(f"benchmarks.{MODULES[name]}")
            command = commands.add_parser(name, help=module.SUMMARY, description=module.__doc__)
            command.add_argument("--json", type=Path, help="also write the rows to this file")
            module.add_flags(command)
            command.set_defaults(measure=module.measure)
        else:
            # The others' libraries need not be there.
            commands.add_parser(name)
    options = parser.parse_args(asked)
    torch.set_num_threads(1)
    try:
        rows = options.measure(options)
    except (ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    show(rows)
    keep(rows, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
