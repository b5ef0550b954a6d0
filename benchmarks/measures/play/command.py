"""What a player hears: held notes, morphs, movement, bass, headroom, treble, beside FluidSynth.

Every patch of the bank that its data was made with plays the same notes as FluidSynth with the
bank's SoundFont, program and gain, in the same run. A section has rows of its own; what it
measures is defined at the top of its file in benchmarks/measures/play/:

    held       keys C4, C3 and A1 for 12 s: level at 1, 3, 6, 11 s and after; within 6 dB
    movement   sd over time of mel bands, 1-3 s into held notes; within 30%
    texture    distance of band envelopes' statistics, held keys and a phrase; nothing asked
    bass       partials 1-8 of keys 21, 26, 33, 38, 45; within 6 dB where above -30
    levels     peaks of chords below -3 dB; velocities within 3 dB; loudness of patches
    treble     third-octaves from 8 to 20 kHz, where a bank has them; within 3 dB
    morph      loudness on lines between patches within 2 dB of their ends; peaks below 0.9
    evenness   of brightness and loudness on these lines; 0.9
    summary    how many rows of each section are as asked, and the worst

ours and original are in the unit that figure names; ok is whether ours is as asked. A bank of
ten patches takes a minute and a half on one core at 16 kHz, two at 48 kHz. --sections and
--patches play less. --vocoder wavenet plays the same notes at its own speed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from benchmarks.flags import add_lookahead_flag
from benchmarks.measures.play import bass, held, levels, morph, movement, texture, treble
from benchmarks.measures.play.findings import Finding, key_name, summary
from benchmarks.measures.play.morph import Line
from benchmarks.measures.play.sounds import Sounds
from benchmarks.measures.play.stage import FOLDERS_TOLD, Original, Ours, Stage
from benchmarks.rows import Row
from common.names import VOCODERS
from player.flags import DEFAULT_BANK
from synth.bank.bank import load_bank
from synth.instrument import make_instrument

SUMMARY = "what a player hears: held notes, morphs, movement, bass, levels, treble"


def _held(sounds: Sounds) -> list[Finding]:
    return [f for key, p in sounds.held.items() for f in held.findings(sounds.patch, key, p)]


def _movement(sounds: Sounds) -> list[Finding]:
    analysis = sounds.stage.bank.analysis
    return [
        f
        for key, pair in sounds.held.items()
        for f in movement.findings(sounds.patch, key, pair, analysis)
    ]


def _texture(sounds: Sounds) -> list[Finding]:
    stretches = {
        f"{key_name(key)} held": pair.cut(*texture.HELD_S) for key, pair in sounds.held.items()
    }
    stretches["phrase"] = sounds.phrase
    return [texture.finding(sounds.patch, played, pair) for played, pair in stretches.items()]


def _bass(sounds: Sounds) -> list[Finding]:
    return [f for key, p in sounds.bass.items() for f in bass.findings(sounds.patch, key, p)]


def _levels(sounds: Sounds) -> list[Finding]:
    patch = sounds.stage.bank.patch(sounds.patch)
    return [
        *levels.peaks(patch, "10 notes at 127", sounds.chord),
        *levels.peaks(patch, "6 notes at 110", sounds.handful),
        *levels.curve(sounds.patch, sounds.dynamics),
        levels.patch_loudness(patch, sounds.phrase),
    ]


def _treble(sounds: Sounds) -> list[Finding]:
    return treble.findings(sounds.patch, sounds.phrase)


OF_PATCH: dict[str, Callable[[Sounds], list[Finding]]] = {
    "held": _held,
    "movement": _movement,
    "texture": _texture,
    "bass": _bass,
    "levels": _levels,
    "treble": _treble,
}
SECTIONS = (*OF_PATCH, "morph")
"""Evenness comes with morph."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to play, and with what."""
    add = parser.add_argument
    add("--bank", type=Path, action="append", help="folder of a bank; may be repeated")
    add("--vocoder", choices=VOCODERS, default="spectral")
    add_lookahead_flag(parser, full=False)
    add("--soundfont", type=Path, help=f"default: the bank's own, in one of {FOLDERS_TOLD}")
    add("--sections", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="NAME")
    add("--patches", nargs="+", metavar="NAME", help="default: all that FluidSynth can play")
    add("--pictures", type=Path, metavar="FOLDER", help="draw what was heard there")


def measure(options: argparse.Namespace) -> list[Row]:
    """For each bank the rows of every section, then one for each in summary.

    Raises ValueError for a bad flag, a bank that does not say how its data was made, or a
    SoundFont that is not the bank's.
    """
    rows: list[Row] = []
    for path in options.bank or [DEFAULT_BANK]:
        bank = load_bank(path)
        original = Original(bank, options.soundfont, options.patches)
        instrument = make_instrument(bank, options.vocoder, "cpu")
        ours = Ours(instrument, options.lookahead)
        found = _findings(Stage(ours, original), options.sections, options.pictures)
        about = {"bank": bank.path.resolve().name, "vocoder": options.vocoder}
        rows += [{**about, **f.row()} for f in (*found, *summary(found))]
    return rows


def _findings(stage: Stage, sections: Sequence[str], pictures: Path | None) -> list[Finding]:
    """All findings of a bank, by section; draws its pictures in a folder, if asked to."""
    heard = {name: Sounds(stage, name) for name in stage.patches}
    name = stage.bank.path.resolve().name
    by_section: dict[str, list[Finding]] = {s: [] for s in OF_PATCH if s in sections}
    for sounds in tqdm(heard.values(), desc=f"play, {name}", unit="patch"):
        for section, found in by_section.items():
            found += OF_PATCH[section](sounds)
    if "levels" in by_section:
        by_section["levels"].append(levels.spread(by_section["levels"]))
    lines: list[Line] = []
    if "morph" in sections:
        lines, by_section["morph"] = morph.listen(stage)
    if pictures:
        # Only here: matplotlib need not be there.
        from benchmarks.report import play_pictures

        play_pictures.draw(pictures, name, heard, lines, sections)
    return [finding for found in by_section.values() for finding in found]
