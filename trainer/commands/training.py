"""`trainer mel2mel` and `trainer wavenet`: their flags, and the plans that they make."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from trainer.commands.flags import number, whole

LOSSES = ("tanh-log-abs", "log-abs", "abs")
DEVICES = ("auto", "cpu", "cuda")
CONFIGS = """
The method's ten instruments in two dimensions need no flags. A hundred in ten: render with
--programs trainer/gm100.yaml, then train with --embedding 10 --timbre-features 40 --batch 100.
One process for each GPU or core: torchrun --nproc-per-node N -m -- trainer mel2mel ... (with --).
"""


def add_mel2mel(parser: argparse.ArgumentParser) -> None:
    """Train the network from notes to spectra; go on with a run that was stopped."""
    sizes = {
        "embedding": (1, "dimensions of the timbre space; default: 2"),
        "hidden": (1, "width of the network; default: 256"),
        "timbre_features": (
            0,
            "functions of the timbre that shape its key templates, 0 for plain layers without "
            "templates; default: 12",
        ),
        "decay_bands": (
            0,
            "bands, an octave each, in which held keys fade at rates of their own, 0 for none; "
            "default: 8",
        ),
        "blend": (
            0,
            "1: timbres mix as shares of sum 1, and levels apart from spectra; 0: as in older "
            "banks; default: 1",
        ),
    }
    _add_training(parser, Path("runs/mel2mel"), 20, 256, sizes)
    add, weight = parser.add_argument, {"type": number(0), "metavar": "W"}
    told = "weights (.safetensors) of another mel2mel, such as a 16 kHz bank's for one of 48 kHz, "
    told += "of which a new run takes what fits; default: none"
    add("--grow", type=Path, metavar="PATH", help=told)
    told = "leave out the fine head, which the spectral vocoder needs; default: keep it"
    add("--no-fine", action="store_true", help=told)
    told = "what is compared: tanh(log S / 4), log S or S of magnitudes S; default: %(default)s"
    add("--loss", choices=LOSSES, default=LOSSES[0], help=told)
    told = "weight of the mel head's mean square error; default: %(default)g"
    add("--mel-weight", **weight, default=4.0, help=told)
    told = "weight of the fine head's mean absolute error; default: %(default)g"
    add("--fine-weight", **weight, default=1.0, help=told)
    told = "weight of its error of log S / 4; default: 0.1 with tanh-log-abs, else 0"
    add("--log-weight", **weight, help=told)
    told = "weight of the error of its slopes over frequency and time, by loudness; "
    add("--slope-weight", **weight, help=told + "default: 1 with tanh-log-abs, else 0")
    told = "Adam's of the key templates; default: 0.003 where the data set holds single keys, "
    told += "from which they begin, else 0.03"
    add("--template-rate", type=number(0), metavar="R", help=told)
    parser.set_defaults(run=_train_mel2mel)


def add_wavenet(parser: argparse.ArgumentParser) -> None:
    """Train the vocoder network from mel spectra to samples; go on with a stopped run."""
    sizes = {
        "layers": (1, "gated layers; default: 20"),
        "cycle": (1, "layers after which the dilations start again at 1; default: 10"),
        "residual": (1, "channels from layer to layer; default: 64"),
        "skip": (1, "channels from the layers to the output; default: 256"),
    }
    _add_training(parser, Path("runs/wavenet"), 5, 64, sizes)
    add = parser.add_argument
    told = "bank or run of the network whose predictions it shall learn from; default: none"
    add("--mel2mel", type=Path, metavar="PATH", help=told)
    told = "share of sequences with predicted spectra, 0..1; default: 0.5 with --mel2mel, else 0"
    add("--predicted-share", type=number(0, 1), metavar="SHARE", help=told)
    told = "play and draw two seconds of held-out music so often; default: never"
    add("--clip-every-minutes", type=number(0), metavar="M", help=told)
    told = "let torch.compile make the steps, where it has a compiler; default: made by hand"
    add("--compile", action="store_true", help=told)
    parser.set_defaults(run=_train_wavenet)


def _add_training(
    parser: argparse.ArgumentParser,
    run: Path,
    batch: int,
    frames: int,
    sizes: dict[str, tuple[int, str]],
) -> None:
    """Flags of both networks, then those for the sizes: name -> (least, help)."""
    parser.epilog = CONFIGS
    add, path, count = parser.add_argument, {"type": Path, "metavar": "PATH"}, whole(1)
    add("--data", **path, default=Path("runs/data"), help="the data set; default: %(default)s")
    told = "where its checkpoints are kept, and found again; default: %(default)s"
    add("--run", **path, dest="run_folder", default=run, help=told)
    told = "weights (.safetensors) that a new run starts from; without, it starts at random"
    add("--init", **path, help=told)
    told = "sequences in a step, of each process; default: %(default)s"
    add("--batch", type=count, metavar="N", default=batch, help=told)
    add("--frames", type=count, metavar="N", help=f"length of a sequence; default: {frames}")
    told = "steps until the run is done, all sessions counted; default: %(default)s"
    add("--iterations", type=count, metavar="N", default=1_000_000, help=told)
    add("--learning-rate", type=number(0), metavar="R", help="Adam's; default: 0.001")
    told = "steps after which the learning rate is halved; default: the method's"
    add("--halve-every", type=count, metavar="N", help=told)
    told = "stop this session, with a checkpoint, after so long; default: no limit"
    add("--max-minutes", type=number(0), metavar="M", default=math.inf, help=told)
    told = "between checkpoints; default: %(default)g"
    add("--checkpoint-minutes", type=number(0), metavar="M", default=3.0, help=told)
    told = "auto takes a GPU where there is one; default: %(default)s"
    add("--device", choices=DEVICES, default=DEVICES[0], help=told)
    told = "processor cores to use, of each process; default: %(default)s"
    add("--threads", type=count, metavar="N", default=1, help=told)
    told = "of a new run's first weights and of what it draws; default: %(default)s"
    add("--seed", type=whole(0), metavar="N", default=0, help=told)
    told = "write the losses for TensorBoard, too, into the run's folder; default: log.jsonl only"
    add("--tensorboard", action="store_true", help=told)
    group = parser.add_argument_group("sizes of the network")
    for name, (least, told) in sizes.items():
        flag = f"--{name.replace('_', '-')}"
        group.add_argument(flag, type=whole(least), metavar="N", help=told)
    parser.set_defaults(sizes=tuple(sizes))


def _train_mel2mel(options: argparse.Namespace) -> int:
    from trainer.mel2mel.losses import SpectralLoss
    from trainer.mel2mel.training import Teaching, train

    weights = ("mel_weight", "fine_weight", "log_weight", "slope_weight")
    loss = SpectralLoss(options.loss, *(getattr(options, name) for name in weights))
    rates = _given(rate=options.learning_rate, template_rate=options.template_rate)
    if options.init and options.grow:
        raise ValueError("--grow: not with --init; a run begins with one of them")
    plain = {"fine": False, "timbre_features": 0} if options.no_fine else {}
    if options.no_fine and options.timbre_features:
        raise ValueError("--timbre-features: key templates need the fine head; not with --no-fine")
    train(_plan(options, plain), Teaching(loss, **rates, grow=options.grow))
    return 0


def _train_wavenet(options: argparse.Namespace) -> int:
    from trainer.wavenet.training import Teaching, train

    share = options.predicted_share
    if share is None:
        share = 0.5 if options.mel2mel else 0.0
    teaching = Teaching(
        options.mel2mel,
        share,
        options.clip_every_minutes,
        options.compile,
        **_given(rate=options.learning_rate),
    )
    train(_plan(options, {}), teaching)
    return 0


def _plan(options: argparse.Namespace, sizes: dict[str, Any]) -> Any:
    from trainer.run.task import Plan

    return Plan(
        data=options.data,
        run=options.run_folder,
        init=options.init,
        batch=options.batch,
        iterations=options.iterations,
        max_minutes=options.max_minutes,
        threads=options.threads,
        seed=options.seed,
        frames=options.frames,
        sizes=_given(**{name: getattr(options, name) for name in options.sizes}) | sizes,
        halve_every=options.halve_every,
        device=options.device,
        checkpoint_minutes=options.checkpoint_minutes,
        tensorboard=options.tensorboard,
    )


def _given(**values: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}
