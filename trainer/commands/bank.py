"""`trainer bank`: its flags, and the bank that they make."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.commands.flags import named

MIDI_CREDIT = "MIDI files by Bernd Krueger, http://www.piano-midi.de, CC BY-SA 3.0 DE"
SOUNDFONT_CREDIT = "MuseScore_General by S. Christian Collins, MIT licence"


def add_bank(parser: argparse.ArgumentParser) -> None:
    """Make a bank of the trained networks, as they stand in their checkpoints."""
    add, path = parser.add_argument, {"type": Path, "metavar": "PATH"}
    told = "run of the network from notes to spectra; default: %(default)s"
    add("--mel2mel", **path, default=Path("runs/mel2mel"), help=told)
    told = "run of the vocoder network, or none; default: %(default)s"
    add("--wavenet", **path, default=Path("runs/wavenet"), help=told)
    told = "the data set they were trained on; default: %(default)s"
    add("--data", **path, default=Path("runs/data"), help=told)
    add("--out", **path, default=Path("patches/gm10"), help="the bank; default: %(default)s")
    told = "of the last checkpoint, or of the one with the lowest held-out loss; default: last"
    add("--weights", choices=("last", "best"), default="last", help=told)
    told = "of the numbers in the bank's files; default: %(default)s"
    add("--precision", choices=("fp16", "fp32"), default="fp16", help=told)
    told = "measured mean correlations with the original, such as spectral=0.71 wavenet=0.2"
    add("--fidelity", nargs="+", type=named, metavar="NAME=R", default=[], help=told)
    told = "whose MIDI files they are, and on what terms; default: %(default)s"
    add("--midi-credit", metavar="TEXT", default=MIDI_CREDIT, help=told)
    told = "the same for the SoundFont; default: %(default)s"
    add("--soundfont-credit", metavar="TEXT", default=SOUNDFONT_CREDIT, help=told)
    told = (
        "then play a note with every patch, and fail if one is silent or out of tune; default: no"
    )
    add("--check", action="store_true", help=told)
    parser.set_defaults(run=_bank)


def _bank(options: argparse.Namespace) -> int:
    from trainer.bank.bank import make_bank

    if len(dict(options.fidelity)) < len(options.fidelity):
        raise ValueError("--fidelity: a vocoder is named twice")
    made = make_bank(
        options.mel2mel,
        None if options.wavenet == Path("none") else options.wavenet,
        options.data,
        options.out,
        dict(options.fidelity),
        {"midi": options.midi_credit, "soundfont": options.soundfont_credit},
        options.weights,
        options.precision,
    )
    print(made)
    if options.check:
        from trainer.bank.check import check_bank

        for line in check_bank(options.out):
            print(line)
    return 0
