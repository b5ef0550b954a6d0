"""From MIDI files and a SoundFont to a bank: render, then mel2mel and wavenet, then bank."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from trainer.commands.bank import add_bank
from trainer.commands.render import SOUNDFONT, add_render
from trainer.commands.training import add_mel2mel, add_wavenet

__all__ = ["SOUNDFONT", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when done, 2 for bad input (told in one line), 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, fill in {
        "render": add_render,
        "mel2mel": add_mel2mel,
        "wavenet": add_wavenet,
        "bank": add_bank,
    }.items():
        about = fill.__doc__
        fill(commands.add_parser(name, help=about[0].lower() + about[1:-1], description=about))
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"trainer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("trainer: interrupted; run it again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
