"""`python -m trainer {render,mel2mel,wavenet,bank}`: from MIDI and a SoundFont to a bank."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

SOUNDFONTS = (
    Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3"),
    Path("/usr/share/sounds/sf3/MuseScore_General.sf3"),
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when done, 2 for bad input (told in one line)."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_render(commands.add_parser("render", help="render MIDI files into a data set"))
    _add_training(
        commands.add_parser("mel2mel", help="train notes -> spectra"),
        Path("runs/mel2mel"),
        batch=20,
    )
    _add_training(
        commands.add_parser("wavenet", help="train mel -> samples"), Path("runs/wavenet"), batch=5
    )
    _add_bank(commands.add_parser("bank", help="make a bank of the trained networks"))
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"trainer: {error}", file=sys.stderr)
        return 2


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--midi", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONTS[0])
    parser.add_argument("--out", type=Path, default=Path("runs/data"))
    parser.add_argument("--minutes", type=float, default=60.0, help="for each program")
    parser.add_argument("--val-minutes", type=float, default=2.0, help="for each program")
    parser.add_argument("--etudes", type=float, default=0.25, help="share of made-up studies, 0..1")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of an excerpt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.set_defaults(run=_render)


def _render(options: argparse.Namespace) -> int:
    from trainer.render import PROGRAMS, Recipe, render

    recipe = Recipe(
        midi=options.midi,
        soundfont=options.soundfont,
        out=options.out,
        programs=PROGRAMS,
        train_minutes=options.minutes,
        val_minutes=options.val_minutes,
        etude_share=options.etudes,
        seconds=options.seconds,
        seed=options.seed,
    )
    print(render(recipe, options.workers))
    return 0


def _add_training(parser: argparse.ArgumentParser, run: Path, batch: int) -> None:
    parser.add_argument("--data", type=Path, default=Path("runs/data"))
    parser.add_argument("--run", dest="run_folder", type=Path, default=run)
    parser.add_argument("--init", type=Path, help="start from these weights (.safetensors)")
    parser.add_argument("--batch", type=int, default=batch, help="sequences in a step")
    parser.add_argument("--iterations", type=int, default=1_000_000)
    parser.add_argument("--max-minutes", type=float, default=float("inf"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from importlib import import_module

    from trainer.loop import Plan

    plan = Plan(
        data=options.data,
        run=options.run_folder,
        init=options.init,
        batch=options.batch,
        iterations=options.iterations,
        max_minutes=options.max_minutes,
        threads=options.threads,
        seed=options.seed,
    )
    import_module(f"trainer.{options.command}").train(plan)
    return 0


def _add_bank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mel2mel", type=Path, default=Path("runs/mel2mel"))
    parser.add_argument("--wavenet", type=Path, default=Path("runs/wavenet"))
    parser.add_argument("--data", type=Path, default=Path("runs/data"))
    parser.add_argument("--out", type=Path, default=Path("patches/gm10"))
    parser.set_defaults(run=_bank)


def _bank(options: argparse.Namespace) -> int:
    from trainer.bank import make_bank

    print(make_bank(options.mel2mel, options.wavenet, options.data, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
