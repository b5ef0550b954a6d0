"""`run_server.py render`: a MIDI file to a WAV, by the engine that plays live."""

from __future__ import annotations

import math
import os
from pathlib import Path

from tqdm import tqdm

from common.files import whole_file
from common.window import PARTS
from daw_bridge.midi.file import read_midi_file
from daw_bridge.midi.sysex import DRUMS
from player.bounce import bounce
from player.flags import RenderFlags
from player.score import frames_of, playable_score
from player.telemetry import limited
from synth.bank.bank import Bank, load_bank
from synth.instrument import make_instrument
from synth.limiter import Limiter
from synth.output.wav import WavWriter

PEAK_DB = -1.0
"""Where a normalized file peaks, dB of full scale."""


def render(flags: RenderFlags) -> None:
    """Render a MIDI file. ValueError or OSError for bad input, or what cannot be written."""
    bank = load_bank(flags.bank, flags.patches_path())
    out, limiter = _target(flags.out), _limiter(flags)
    chosen = _chosen_patches(flags, bank)
    read = read_midi_file(flags.midi, print)
    # --patch is for every channel but drums; --part is for one, whatever it plays.
    drums = flags.patches_of_parts()
    score = playable_score(read, chosen, bank, str(flags.midi), print, play_drums=drums)
    instrument = make_instrument(bank, flags.vocoder, flags.sampler)
    print(f"vocoder  {instrument.reason}")
    rate, hop = bank.analysis.rate, bank.analysis.hop
    frames = frames_of(score, instrument)
    played = bounce(
        instrument,
        score.messages,
        chosen,
        frames,
        flags.lookahead,
        flags.seed,
        midi_map=flags.midi_map_path(),
        limiter=limiter,
    )
    seconds, done = -(-frames * hop // rate), 0
    with (
        tqdm(total=seconds, unit="s", desc=out.name, disable=None) as progress,
        whole_file(out) as file,
    ):
        wav = WavWriter(file, rate, 2)
        for sound in played:
            wav.write(sound)
            done += len(sound)
            progress.update(-(-done // rate) - progress.n)
        if flags.normalize and limiter.peak:
            wav.scale(10 ** (PEAK_DB / 20) / limiter.peak)
        wav.renew_header()
    print(_level(limiter, flags.normalize))


def _limiter(flags: RenderFlags) -> Limiter:
    """What the mix goes through. ValueError for two flags that exclude each other."""
    if flags.normalize and flags.gain:
        raise ValueError(
            f"--gain {flags.gain:g}: --normalize finds the gain; leave one of them out"
        )
    return Limiter(flags.gain, squeezes=not flags.normalize)


def _level(limiter: Limiter, normalized: bool) -> str:
    """What became of the level, in one line."""
    if not limiter.peak:
        return "level    silence"
    peak_db = 20 * math.log10(limiter.peak)
    if normalized:
        return f"level    gain {PEAK_DB - peak_db:+.1f} dB, peak {PEAK_DB:g} dB"
    told = limited(limiter.share, limiter.most_db)
    return f"level    peak before the limiter {peak_db:.1f} dB, {told}"


def _target(out: Path) -> Path:
    """Where a rendering may go; ValueError where it would replace something that is no sound."""
    if out.suffix.lower() != ".wav":
        raise ValueError(f"{out}: expected the name of a WAV, such as song.wav")
    if os.path.exists(out) and not os.path.isfile(out):
        raise ValueError(f"{out}: is not a file that can be replaced")
    return out


def _chosen_patches(flags: RenderFlags, bank: Bank) -> dict[int, str]:
    """Part -> patch, as the flags say; the file's own programs decide the rest."""
    chosen = {part: flags.patch for part in PARTS if flags.patch is not None and part != DRUMS}
    chosen |= flags.patches_of_parts()
    for name in chosen.values():
        bank.patch(name)
    return chosen
