"""From MIDI files and a SoundFont to a bank: render, then mel2mel and wavenet, then bank."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from trainer.flags import named as _named
from trainer.flags import number as _number
from trainer.flags import whole as _whole
from trainer.render_command import SOUNDFONT, add_render

__all__ = ["SOUNDFONT", "main"]
MIDI_CREDIT = "MIDI files by Bernd Krueger, http://www.piano-midi.de, CC BY-SA 3.0 DE"
SOUNDFONT_CREDIT = "MuseScore_General by S. Christian Collins, MIT licence"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when done, 2 for bad input (told in one line), 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, fill in {
        "render": add_render,
        "mel2mel": _add_mel2mel,
        "wavenet": _add_wavenet,
        "bank": _add_bank,
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


def _add_mel2mel(parser: argparse.ArgumentParser) -> None:
    """Train the network from notes to spectra; go on with a run that was stopped."""
    sizes = {
        "embedding": (1, "dimensions of the timbre space; default: 2"),
        "hidden": (1, "width of the network; default: 256"),
        "timbre_features": (0, "functions of the timbre that shape its key templates; default: 12"),
    }
    _add_training(parser, Path("runs/mel2mel"), 20, 256, sizes)


def _add_wavenet(parser: argparse.ArgumentParser) -> None:
    """Train the vocoder network from mel spectra to samples; go on with a stopped run."""
    sizes = {
        "layers": (1, "gated layers; default: 20"),
        "cycle": (1, "layers after which the dilations start again at 1; default: 10"),
        "residual": (1, "channels from layer to layer; default: 64"),
        "skip": (1, "channels from the layers to the output; default: 256"),
    }
    _add_training(parser, Path("runs/wavenet"), 5, 64, sizes)


def _add_training(
    parser: argparse.ArgumentParser,
    run: Path,
    batch: int,
    frames: int,
    sizes: dict[str, tuple[int, str]],
) -> None:
    """Flags of both networks, then those for the sizes: name -> (least, help)."""
    add, path, count = parser.add_argument, {"type": Path, "metavar": "PATH"}, _whole(1)
    add("--data", **path, default=Path("runs/data"), help="the data set; default: %(default)s")
    told = "where its checkpoints are kept, and found again; default: %(default)s"
    add("--run", **path, dest="run_folder", default=run, help=told)
    told = "weights (.safetensors) that a new run starts from; without, it starts at random"
    add("--init", **path, help=told)
    told = "sequences in a step; default: %(default)s"
    add("--batch", type=count, metavar="N", default=batch, help=told)
    add("--frames", type=count, metavar="N", help=f"length of a sequence; default: {frames}")
    told = "steps until the run is done, all sessions counted; default: %(default)s"
    add("--iterations", type=count, metavar="N", default=1_000_000, help=told)
    told = "steps after which the learning rate is halved; default: the method's"
    add("--halve-every", type=count, metavar="N", help=told)
    told = "stop this session, with a checkpoint, after so long; default: no limit"
    add("--max-minutes", type=_number(0), metavar="M", default=math.inf, help=told)
    told = "processor cores to use; default: %(default)s"
    add("--threads", type=count, metavar="N", default=1, help=told)
    told = "of a new run's first weights and of what it draws; default: %(default)s"
    add("--seed", type=_whole(0), metavar="N", default=0, help=told)
    group = parser.add_argument_group("sizes of the network")
    for name, (least, told) in sizes.items():
        flag = f"--{name.replace('_', '-')}"
        group.add_argument(flag, type=_whole(least), metavar="N", help=told)
    parser.set_defaults(run=_train, sizes=tuple(sizes))


def _train(options: argparse.Namespace) -> int:
    from importlib import import_module

    from trainer.loop import Plan

    given = {name: getattr(options, name) for name in options.sizes}
    plan = Plan(
        data=options.data,
        run=options.run_folder,
        init=options.init,
        batch=options.batch,
        iterations=options.iterations,
        max_minutes=options.max_minutes,
        threads=options.threads,
        seed=options.seed,
        frames=options.frames,
        halve_every=options.halve_every,
        sizes={name: size for name, size in given.items() if size is not None},
    )
    import_module(f"trainer.{options.command}").train(plan)
    return 0


def _add_bank(parser: argparse.ArgumentParser) -> None:
    """Make a bank of the trained networks, as they stand in their last checkpoints."""
    add, path = parser.add_argument, {"type": Path, "metavar": "PATH"}
    told = "run of the network from notes to spectra; default: %(default)s"
    add("--mel2mel", **path, default=Path("runs/mel2mel"), help=told)
    told = "run of the vocoder network, or none; default: %(default)s"
    add("--wavenet", **path, default=Path("runs/wavenet"), help=told)
    told = "the data set they were trained on; default: %(default)s"
    add("--data", **path, default=Path("runs/data"), help=told)
    add("--out", **path, default=Path("patches/gm10"), help="the bank; default: %(default)s")
    told = "measured mean correlations with the original, such as spectral=0.71 wavenet=0.2"
    add("--fidelity", nargs="+", type=_named, metavar="NAME=R", default=[], help=told)
    told = "whose MIDI files they are, and on what terms; default: %(default)s"
    add("--midi-credit", metavar="TEXT", default=MIDI_CREDIT, help=told)
    told = "the same for the SoundFont; default: %(default)s"
    add("--soundfont-credit", metavar="TEXT", default=SOUNDFONT_CREDIT, help=told)
    parser.set_defaults(run=_bank)


def _bank(options: argparse.Namespace) -> int:
    from trainer.bank import make_bank

    if len(dict(options.fidelity)) < len(options.fidelity):
        raise ValueError("--fidelity: a vocoder is named twice")
    made = make_bank(
        options.mel2mel,
        None if options.wavenet == Path("none") else options.wavenet,
        options.data,
        options.out,
        dict(options.fidelity),
        {"midi": options.midi_credit, "soundfont": options.soundfont_credit},
    )
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
