"""From MIDI files and a SoundFont to a bank: render, then mel2mel, guides, wavenet, then bank."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from common.flags import read_flags
from trainer.commands.bank import BankCommand
from trainer.commands.fit import FitCommand
from trainer.commands.guides import GuidesCommand
from trainer.commands.render import RenderCommand
from trainer.commands.training import EncoderCommand, Mel2MelCommand, WaveNetCommand

PROGRAM = "python -m trainer"
Command = (
    RenderCommand
    | Mel2MelCommand
    | GuidesCommand
    | WaveNetCommand
    | BankCommand
    | EncoderCommand
    | FitCommand
)
COMMANDS: dict[str, type[Command]] = {
    "render": RenderCommand,
    "mel2mel": Mel2MelCommand,
    "guides": GuidesCommand,
    "wavenet": WaveNetCommand,
    "bank": BankCommand,
    "encoder": EncoderCommand,
    "fit": FitCommand,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: 0 when done, 2 for bad input (in one line), 130 on Ctrl-C."""
    name, *flags = (sys.argv[1:] if arguments is None else arguments) or ("",)
    if name in ("-h", "--help"):
        print(_overview())
        return 0
    try:
        if name not in COMMANDS:
            raise ValueError(f"expected a command ({', '.join(COMMANDS)}), got {name!r}")
        read_flags(COMMANDS[name], flags, f"{PROGRAM} {name}").run()
    except (ValueError, OSError) as error:
        print(f"trainer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("trainer: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def _overview() -> str:
    """The commands, each with the first line of its description."""
    abouts = {name: (shape.__doc__ or "").splitlines()[0] for name, shape in COMMANDS.items()}
    rows = [f"  {name:8} {about}" for name, about in abouts.items()]
    head = [f"usage: {PROGRAM} COMMAND [FLAGS]", "", __doc__ or "", ""]
    return "\n".join([*head, *rows, "", f"{PROGRAM} COMMAND --help explains the flags."])


if __name__ == "__main__":
    sys.exit(main())
