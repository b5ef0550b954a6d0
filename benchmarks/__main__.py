"""Measure melstream: one command, one table, the same rows in a file.

`python -m benchmarks NAME --help` says what NAME measures and how.
"""

from __future__ import annotations

import signal
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.commands import MODULES, about
from benchmarks.flags import Parser
from benchmarks.rows import keep, show


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; 0 when done, 2 for bad input, which is reported in one line."""
    asked = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser(asked).parse_args(asked)
        # Here, so that --help is fast.
        import torch

        torch.set_num_threads(1)
        rows = options.measure(options)
        show(rows)
        if options.json:
            keep(rows, options.json)
    except (ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0


def _parser(asked: Sequence[str]) -> Parser:
    """All commands, but only the one asked for with its flags: others may lack libraries."""
    parser = Parser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, room in MODULES.items():
        summary, method = about(name)
        command = commands.add_parser(
            name,
            help=summary,
            description=method,
            formatter_class=RawDescriptionHelpFormatter,
        )
        if list(asked[:1]) == [name]:
            module = import_module(f"benchmarks.{room}")
            command.add_argument("--json", type=Path, help="also write the rows to this file")
            module.add_flags(command)
            command.set_defaults(measure=module.measure)
    return parser


def _end(number: int, frame: object) -> None:
    """Stop as on Ctrl-C, so that no server and no JACK is left behind."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main())
