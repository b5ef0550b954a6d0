"""`run_server.py render`: a MIDI file to a WAV, by the engine that plays live."""

from __future__ import annotations

import os
from pathlib import Path

from mido import Message
from tqdm import tqdm

from common.files import whole_file
from common.window import HIGHEST_KEY, LOWEST_KEY, PARTS
from daw_bridge.midi.file import DRUMS, TimedMessage, read_midi_file
from player.bounce import bounce
from player.flags import RenderFlags
from synth.bank.bank import Bank, load_bank
from synth.instrument import make_instrument
from synth.output.wav import WavWriter


def render(flags: RenderFlags) -> None:
    """Render a MIDI file. ValueError or OSError for bad input, or what cannot be written."""
    bank, out = load_bank(flags.bank), _target(flags.out)
    chosen = _chosen_patches(flags, bank)
    messages = _playable(read_midi_file(flags.midi), chosen, bank, flags.midi)
    instrument = make_instrument(bank, flags.vocoder, flags.sampler)
    print(f"vocoder  {instrument.reason}")
    rate, hop = bank.analysis.rate, bank.analysis.hop
    frames = round(messages[-1].seconds * rate) // hop + instrument.ring_out_frames
    midi_map = flags.midi_map_path()
    played = bounce(
        instrument, messages, chosen, frames, flags.lookahead, flags.seed, midi_map=midi_map
    )
    seconds, done = -(-frames * hop // rate), 0
    with whole_file(out) as file, tqdm(total=seconds, unit="s", desc=out.name) as progress:
        wav = WavWriter(file, rate, 2)
        for sound in played:
            wav.write(sound)
            done += len(sound)
            progress.update(-(-done // rate) - progress.n)
        wav.renew_header()


def _target(out: Path) -> Path:
    """Where a rendering may go; ValueError where it would replace something that is no sound."""
    if out.suffix.lower() in (".mid", ".midi"):
        raise ValueError(f"{out}: is the name of a MIDI file; name a WAV, e.g. song.wav")
    if os.path.exists(out) and not os.path.isfile(out):
        raise ValueError(f"{out}: is not a file that can be replaced")
    return out


def _chosen_patches(flags: RenderFlags, bank: Bank) -> dict[int, str]:
    """Part -> patch, as the flags say; the file's own programs decide the rest."""
    chosen = {part: flags.patch for part in PARTS if flags.patch and part != DRUMS}
    chosen |= flags.patches_of_parts()
    for name in chosen.values():
        bank.patch(name)
    return chosen


def _playable(
    messages: list[TimedMessage], chosen: dict[int, str], bank: Bank, path: Path
) -> list[TimedMessage]:
    """What is to be played: no programs on parts whose patch was chosen, no drums unless chosen.

    Prints what is left out; ValueError where nothing is left.
    """
    playable, drums, unknown = [], False, set()
    for timed in messages:
        part, kind = timed.message.channel + 1, timed.message.type
        if part == DRUMS and part not in chosen:
            drums |= kind == "note_on"
        elif kind != "program_change" or part not in chosen:
            playable.append(timed)
            if kind == "program_change" and timed.message.program not in bank.programs:
                unknown.add(timed.message.program)
    if drums:
        print(f"channel {DRUMS} (drums) is left out; --part {DRUMS}=PATCH plays it")
    if unknown:
        programs = ", ".join(map(str, sorted(unknown)))
        print(f"no patch for programs {programs}: these channels keep the patch they have")
    if not any(_sounds(timed.message) for timed in playable):
        raise ValueError(f"{path}: no note to play (of keys {LOWEST_KEY}..{HIGHEST_KEY})")
    return playable


def _sounds(message: Message) -> bool:
    if message.type != "note_on" or not message.velocity:
        return False
    return LOWEST_KEY <= message.note <= HIGHEST_KEY
