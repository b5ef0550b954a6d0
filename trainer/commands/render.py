"""`trainer render`: its flags, and the recipe that they make."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

from trainer.commands.flags import key_range, number, program_keys, release, whole
from trainer.data.programs import (
    KEYS,
    PROGRAM_KEYS,
    PROGRAM_RELEASE_S,
    PROGRAMS,
    RELEASE_S,
    read_mapping_file,
    read_programs,
)

SOUNDFONT = Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")
RATES = (16_000, 48_000)


def add_render(parser: argparse.ArgumentParser) -> None:
    """Render MIDI files into a data set; go on with one that was interrupted."""
    add, path, minutes = parser.add_argument, {"type": Path, "metavar": "PATH"}, number(0)
    told = "folder of MIDI files: those that its manifest.csv lists, or all in it and below"
    add("--midi", **path, required=True, help=told)
    add("--soundfont", **path, default=SOUNDFONT, help="default: %(default)s")
    add("--out", **path, default=Path("runs/data"), help="the data set; default: %(default)s")
    told = "NAME=PROGRAM of each instrument, or one YAML file of such; default: the method's ten"
    add("--programs", nargs="+", metavar="NAME=PROGRAM", help=told)
    length = parser.add_mutually_exclusive_group()
    told = "of training music for each instrument; default: 60"
    length.add_argument("--minutes", type=minutes, metavar="M", help=told)
    told = "of training music for all instruments together; default: an hour for each"
    length.add_argument("--hours", type=minutes, metavar="H", help=told)
    told = "of held-out music for each instrument; default: %(default)g"
    add("--val-minutes", type=minutes, metavar="M", default=2.0, help=told)
    told = "pieces to test with, a minute of each with every instrument; default: %(default)s"
    add("--test-pieces", type=whole(0), metavar="N", default=14, help=told)
    told = "share of the files held out, where there is no manifest.csv; default: %(default)g"
    add("--val-fraction", type=number(0, 0.5), metavar="F", default=0.05, help=told)
    told = "share of the files to test with, where there is no manifest.csv; default: %(default)g"
    add("--test-fraction", type=number(0, 0.5), metavar="F", default=0.05, help=told)
    told = "share of made-up studies in the training music, 0..1; default: %(default)g"
    add("--etudes", type=number(0, 1), metavar="SHARE", default=0.25, help=told)
    told = "length of an excerpt, 2 or more; default: %(default)g"
    add("--seconds", type=number(2), metavar="S", default=20.0, help=told)
    told = f"play no others than these; default: {KEYS[0]}-{KEYS[1]}, all there are"
    add("--keys", type=key_range, metavar="LOW-HIGH", default=KEYS, help=told)
    told = "hold each key alone for so long, 0 for none: templates begin with them; default: 13"
    add("--key-seconds", type=number(0), metavar="S", default=13.0, help=told)
    known = " ".join(f"{p}={low}-{high}" for p, (low, high) in PROGRAM_KEYS.items())
    told = f"keys that single programs sound, others are left out; default: {known}"
    add("--program-keys", nargs="*", type=program_keys, metavar="PROGRAM=LOW-HIGH", help=told)
    known = f"{RELEASE_S:g} " + " ".join(f"{p}={s:g}" for p, s in PROGRAM_RELEASE_S.items())
    told = f"seconds kept after the last note, of all and of single programs; default: {known}"
    add("--release", nargs="+", type=release, metavar="[PROGRAM=]S", default=[], help=told)
    told = "samples a second; a frame is 8 ms, so 128 or 384 samples; default: %(default)s"
    add("--rate", type=int, choices=RATES, default=RATES[0], help=told)
    told = "render at that rate itself: faster, but a duller top octave; default: at 48000"
    add("--direct", action="store_true", help=told)
    told = "YAML file of decibels for each instrument; default: measured, loudest sample at 0.9"
    add("--gains", **path, help=told)
    told = "stop after so long, with a part that is balanced; default: no limit"
    add("--max-minutes", type=minutes, metavar="M", default=math.inf, help=told)
    told = "another seed chooses other excerpts; default: %(default)s"
    add("--seed", type=whole(0), metavar="N", default=0, help=told)
    told = "processes at work; default: one for each core"
    add("--workers", type=whole(1), metavar="N", default=os.cpu_count(), help=told)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make or go on with the data set; prints its manifest's path."""
    programs = read_programs(options.programs) if options.programs else PROGRAMS
    from trainer.data.plan import Recipe
    from trainer.data.render import render

    releases = dict(options.release)
    general = releases.pop(None, RELEASE_S)
    masks = PROGRAM_KEYS if options.program_keys is None else dict(options.program_keys)
    recipe = Recipe(
        midi=options.midi,
        soundfont=options.soundfont,
        out=options.out,
        programs=programs,
        train_minutes=_minutes(options, len(programs)),
        val_minutes=options.val_minutes,
        test_pieces=options.test_pieces,
        val_fraction=options.val_fraction,
        test_fraction=options.test_fraction,
        etude_share=options.etudes,
        seconds=options.seconds,
        rate=options.rate,
        direct=options.direct,
        keys=options.keys,
        program_keys=masks,
        release_s=general,
        program_release_s={p: max(s, general) for p, s in PROGRAM_RELEASE_S.items()} | releases,
        gains_db=read_mapping_file(options.gains) if options.gains else None,
        key_s=options.key_seconds,
        seed=options.seed,
    )
    print(render(recipe, options.workers, options.max_minutes))
    return 0


def _minutes(options: argparse.Namespace, programs: int) -> float:
    if options.hours is not None:
        return options.hours * 60 / programs
    return 60.0 if options.minutes is None else options.minutes
