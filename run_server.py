"""melstream: play neural instruments live from a DAW, or render a MIDI file with them.

The only room that knows everyone: flags in, parts wired, runs until Ctrl-C.

    python run_server.py                       play what MIDI and OSC send
    python run_server.py render song.mid out.wav
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from mido import Message
from tqdm import tqdm

from common.threads import DEVICE, LISTENER, RENDERER, go_before_others
from daw_bridge.clock import AudioClock
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.learn import read_map
from daw_bridge.events import PARTS, NoteOn
from daw_bridge.inbox import Inbox
from daw_bridge.midi.file import TimedMessage, read_midi_file
from daw_bridge.midi.messages import MidiTranslator
from daw_bridge.midi.port import open_input
from daw_bridge.osc.server import OscServer
from daw_bridge.piano_roll import HIGHEST_KEY, LOWEST_KEY
from daw_bridge.windows import Window, Windows
from synth.bank.bank import Bank, load_bank
from synth.bank.choice import VOCODERS, choose_vocoder
from synth.compiling import compiling_shown
from synth.engine import Engine, cut_window
from synth.mel import band_centres
from synth.output.choice import open_sink, quiet_libraries
from synth.output.portaudio import list_devices
from synth.output.sinks import SPARE_MS, Sink
from synth.output.wav import WavWriter
from synth.predictor import Foreseen, Predictor, Streaming
from synth.vocoders.contract import Vocoder
from synth.vocoders.wavenet.samplers.choice import SAMPLERS

BLOCK_FRAMES = 1
"""Frames rendered at once when live: 8 ms, the finest step there is."""
BOUNCE_FRAMES = 16
"""Frames rendered at once offline. The size of a block cannot change the sound."""
LOOKAHEAD = 0
MOST_LOOKAHEAD = 125
DRUMS = 10
MOST_BUFFER_MS = 500.0
MIDI_MAP = "~/.melstream/midi-map.yaml"
DEFAULT_BANK = Path(__file__).resolve().parent / "patches" / "gm10"


def main(
    arguments: list[str] | None = None, around: Callable[[Sink], Sink] = lambda sink: sink
) -> int:
    """Run the command line; 0 when all went well, 2 for bad input, a device or a recording that
    failed, told in one line, 130 when it was interrupted before it played or while it rendered.

    around: puts a sink of the caller's around the one asked for, to watch it; live only.
    """
    logging.basicConfig(level=logging.WARNING, format="melstream: %(message)s")
    # One thread is the fastest for matrices this small, and leaves the listeners theirs.
    torch.set_num_threads(1)
    # The audio callback must not wait 5 ms for its turn at the interpreter.
    sys.setswitchinterval(5e-4)
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == ["render"]:
            with compiling_shown():
                return render(_render_flags().parse_args(arguments[1:]))
        options = _server_flags().parse_args(arguments)
        if options.list_devices:
            print("\n".join(list_devices()) or "no audio outputs")
            return 0
        return serve(options, around)
    except (ValueError, OSError) as error:
        print(f"melstream: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("melstream: interrupted", file=sys.stderr)
        return 130


def serve(options: argparse.Namespace, around: Callable[[Sink], Sink] = lambda sink: sink) -> int:
    """Play live until Ctrl-C or SIGTERM. ValueError or OSError for what cannot be had."""
    bank = load_bank(options.bank)
    first = options.patch or bank.names[0]
    bank.patch(first)
    lookahead, address = _lookahead(options.lookahead), _address(options.osc)
    midi_map = _midi_map(options.midi_map)
    block_ms = 1000 * BLOCK_FRAMES / bank.analysis.frame_rate
    spare_ms = max(_buffer_ms(options.buffer), block_ms)
    print("preparing", flush=True)
    with compiling_shown():
        vocoder, reason = choose_vocoder(bank, options.vocoder, options.sampler)
        predictor = Streaming(bank.mel2mel(), vocoder.head, lookahead)
        _warm_up(_engine(bank, predictor, vocoder, options.seed), bank)
    sink, found = open_sink(options.audio, bank.analysis.rate, spare_ms, options.record)
    sink = around(sink)
    engine = _engine(bank, predictor, vocoder, options.seed)
    player = Player(bank, engine, sink, midi_map)
    for part in PARTS:
        player.desk.patch(part, first, 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: player.stop())
    # Threads inherit it from the one that starts them.
    first_served = go_before_others(LISTENER)
    with ExitStack() as stack:
        osc = None
        if address:
            host, port = address
            osc = OscServer(
                player.desk, player.inbox, player.clock, player.status, _version(), host, port
            )
            stack.callback(osc.close)
        with quiet_libraries():
            midi = open_input(options.midi, player.translator.hear, player.clock.now)
        stack.callback(midi.close)
        go_before_others(DEVICE)
        stack.enter_context(sink)
        go_before_others(RENDERER)
        print(f"bank     {bank.path}: {', '.join(bank.names)}")
        print(f"vocoder  {reason}")
        print(f"sound    {found}{sink.describe()}")
        print(f"midi     {midi.summary.removeprefix('MIDI: ')}")
        for controller, knob in player.desk.learnt.bound.items():
            print(f"         controller {controller} turns {knob} ({midi_map})")
        hint = f"{osc.host}:{osc.port}, e.g. /part/1/note 60 100" if osc else "off"
        print(f"osc      {hint}")
        print(f"latency  {player.latency_line()}")
        if not first_served:
            print("priority that of any program; other programs may break the sound")
        print("ready; Ctrl-C stops", flush=True)
        player.run()
        print(f"stopped; {player.counters_line(osc)}", flush=True)
    return 2 if sink.fault else 0


class Player:
    """The live instrument: an inbox that listeners fill, and the loop that plays it."""

    def __init__(
        self, bank: Bank, engine: Engine, sink: Sink, midi_map: Path | None = None
    ) -> None:
        self.inbox = Inbox()
        self.clock = AudioClock(bank.analysis.rate)
        self.desk = Desk(bank, self.inbox.post, self.clock.now, midi_map)
        self.translator = MidiTranslator(self.desk, self.inbox.post)
        self._engine, self._sink = engine, sink
        self._windows = Windows(engine.hop, bank.point(bank.names[0]))
        self._stopped = False
        self._load = self._peak_load = 0.0
        self._frame_ms = 1000 * engine.hop / bank.analysis.rate

    def run(self) -> None:
        """Render and play until `stop`, or until the device is gone."""
        length = BLOCK_FRAMES * self._engine.hop
        # What stands now stays: collecting it again and again would cost whole blocks. The
        # little that comes after it is collected every few seconds, within a tenth of a ms.
        gc.collect()
        gc.freeze()
        underruns = 0
        while not self._stopped:
            if self._sink.underruns != underruns:
                underruns = self._sink.underruns
                self.clock.stall()
            began, start = time.perf_counter(), self._engine.frame * self._engine.hop
            self.clock.tick(start, began)
            events = self.inbox.take_until(start + length)
            windows = self._windows.frames(events, self._engine.frame, BLOCK_FRAMES)
            sound = self._engine.render(windows, BLOCK_FRAMES)
            load = (time.perf_counter() - began) * 1000 / (BLOCK_FRAMES * self._frame_ms)
            self._load += (load - self._load) * 0.02
            self._peak_load = max(load, self._peak_load)
            if not self._sink.write(sound):
                break

    def stop(self) -> None:
        """End `run` soon. From any thread, or a signal."""
        self._stopped = True
        self._sink.stop()

    def latency_line(self) -> str:
        """Each term of the time from a note to its sound, in milliseconds."""
        terms = self._latency_terms()
        listed = " + ".join(f"{name} {ms:.0f}" for name, ms in terms.items())
        return f"{sum(terms.values()):.0f} ms = {listed}"

    def status(self) -> dict[str, int | float | str]:
        """What /status answers. load: render time over block time, lately and at most."""
        terms = {f"{k}_ms": round(v, 2) for k, v in self._latency_terms().items()}
        return {
            "seconds": round(self._engine.frame * self._frame_ms / 1000, 3),
            "load": round(self._load, 4),
            "peak_load": round(self._peak_load, 4),
            "parts": self._engine.awake,
            "underruns": self._sink.underruns,
            "late": self.inbox.late,
            "dropped": self.inbox.dropped,
            "rate": self._sink.rate,
            "latency_ms": round(sum(self._latency_terms().values()), 2),
            **terms,
        }

    def counters_line(self, osc: OscServer | None) -> str:
        """Everything counted, in words."""
        counted = {
            "underruns": self._sink.underruns,
            "late events": self.inbox.late,
            "dropped events": self.inbox.dropped,
            "malformed packets": osc.malformed if osc else 0,
            "refused messages": osc.refused if osc else 0,
            "ignored MIDI messages": self.translator.ignored,
        }
        listed = ", ".join(f"{name} {count}" for name, count in counted.items())
        return f"load {self._load:.0%} (peak {self._peak_load:.0%}), {listed}"

    def _latency_terms(self) -> dict[str, float]:
        engine, frame = self._engine, self._frame_ms
        return {
            # A note waits for the next block, and acts on the whole frame that it falls into:
            # half a frame early on average. How it got here is not counted: MIDI inputs are
            # looked at once a millisecond, half of one on average.
            "block": (BLOCK_FRAMES - 0.5) * frame,
            "lookahead": engine.lookahead * frame,
            "vocoder": (engine.delay - engine.lookahead) * frame,
            "output": self._sink.latency_ms,
        }


def render(options: argparse.Namespace) -> int:
    """Render a MIDI file to a WAV with the same engine. ValueError for bad input."""
    bank, out = load_bank(options.bank), _target(options.out)
    chosen = _chosen_patches(options, bank)
    messages = _playable(read_midi_file(options.midi), chosen, bank, options.midi)
    vocoder, reason = choose_vocoder(bank, options.vocoder, options.sampler)
    print(f"vocoder  {reason}")
    rate, hop = bank.analysis.rate, bank.analysis.hop
    frames = round(messages[-1].seconds * rate) // hop + _ring_out(bank)
    played = bounce(
        bank,
        vocoder,
        messages,
        chosen,
        frames,
        options.lookahead,
        options.seed,
        midi_map=_midi_map(options.midi_map),
    )
    partial = out.with_name(out.name + ".part")
    seconds, done = -(-frames * hop // rate), 0
    try:
        with partial.open("wb") as file, tqdm(total=seconds, unit="s", desc=out.name) as progress:
            wav = WavWriter(file, rate, 2)
            for sound in played:
                wav.write(sound)
                done += len(sound)
                progress.update(-(-done // rate) - progress.n)
            wav.renew_header()
        partial.replace(out)
    except OSError as error:
        raise ValueError(f"{out}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            partial.unlink()
    return 0


def _target(out: Path) -> Path:
    """Where a rendering may go; ValueError where it would replace what is no sound."""
    if out.suffix.lower() in (".mid", ".midi"):
        raise ValueError(f"{out}: is the name of a MIDI file; name a WAV, e.g. song.wav")
    if os.path.exists(out) and not os.path.isfile(out):
        raise ValueError(f"{out}: is not a file that can be replaced")
    return out


def bounce(
    bank: Bank,
    vocoder: Vocoder,
    messages: list[TimedMessage],
    patches: dict[int, str],
    frames: int,
    lookahead: str,
    seed: int,
    block: int = BOUNCE_FRAMES,
    midi_map: Path | None = None,
) -> Iterator[np.ndarray]:
    """Blocks (samples, 2) of a score's first frames, aligned with the score.

    patches: part -> name; lookahead: frames as text, or "full" for the whole piece; midi_map: the
    file of learnt controllers, if any are to be heard. Raises ValueError before the first block.
    """
    ahead = None if lookahead == "full" else _lookahead(lookahead)
    # The whole piece may be posted at once.
    inbox = Inbox(limit=sys.maxsize)
    desk = Desk(bank, inbox.post, lambda: 0, midi_map)
    desk.announce(0)
    for part, name in patches.items():
        desk.patch(part, name, 0)
    translator = MidiTranslator(desk, inbox.post)
    windows = Windows(bank.analysis.hop, bank.point(bank.names[0]))
    waiting = deque(messages)

    def score(start: int, count: int) -> list[Window]:
        end = (start + count) * bank.analysis.hop
        while waiting and round(waiting[0].seconds * bank.analysis.rate) < end:
            timed = waiting.popleft()
            translator.hear(timed.message, round(timed.seconds * bank.analysis.rate))
        return windows.frames(inbox.take_until(end), start, count)

    def blocks() -> Iterator[np.ndarray]:
        mel2mel = bank.mel2mel()
        whole: list[Window] = []
        if ahead is None:
            whole = score(0, frames + vocoder.lookahead)
            predictor: Predictor = Foreseen(mel2mel, vocoder.head, whole)
        else:
            predictor = Streaming(mel2mel, vocoder.head, ahead)
        engine = _engine(bank, predictor, vocoder, seed)
        # The first sound out belongs to the time before the piece.
        early = engine.delay * bank.analysis.hop
        for start in range(0, frames + engine.delay, block):
            count = min(block, frames + engine.delay - start)
            now = [cut_window(w, start, count) for w in whole] if whole else score(start, count)
            sound = engine.render(now, count)
            skip = min(early, len(sound))
            early -= skip
            yield sound[skip:]

    return blocks()


def _engine(bank: Bank, predictor: Predictor, vocoder: Vocoder, seed: int) -> Engine:
    centres = band_centres(bank.analysis, vocoder.head)
    return Engine(predictor, vocoder, _ring_out(bank), seed, centres)


def _ring_out(bank: Bank) -> int:
    return round(bank.ring_out_s * bank.analysis.frame_rate)


def _warm_up(engine: Engine, bank: Bank) -> None:
    """Play a short note to nobody, so that nothing is compiled while somebody listens."""
    windows = Windows(engine.hop, bank.point(bank.names[0]))
    note = [NoteOn(0, 1, 60, 100)]
    for frame in range(engine.delay + 3):
        engine.render(windows.frames(note if frame == 0 else [], frame, 1), 1)


def _chosen_patches(options: argparse.Namespace, bank: Bank) -> dict[int, str]:
    """Part -> patch, as the flags say; the file's own programs decide the rest."""
    chosen = {part: options.patch for part in PARTS if options.patch and part != DRUMS}
    for entry in options.part:
        channel, separator, name = entry.partition("=")
        if not separator or not channel.isdecimal() or int(channel) not in PARTS:
            raise ValueError(f"--part {entry!r}: must be CHANNEL=PATCH, with a channel 1..16")
        chosen[int(channel)] = name
    for name in chosen.values():
        bank.patch(name)
    return chosen


def _playable(
    messages: list[TimedMessage], chosen: dict[int, str], bank: Bank, path: Path
) -> list[TimedMessage]:
    """What is to be played: no programs on parts whose patch was chosen, no drums unless so.

    Says what is left out; ValueError where nothing is left.
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


def _lookahead(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_LOOKAHEAD:
        raise ValueError(f"--lookahead {text!r}: must be 0..{MOST_LOOKAHEAD} frames")
    return int(text)


def _buffer_ms(text: str) -> float:
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = float("nan")
    if not 0 <= milliseconds <= MOST_BUFFER_MS:
        raise ValueError(f"--buffer {text!r}: must be 0..{MOST_BUFFER_MS:.0f} ms")
    return milliseconds


def _address(text: str) -> tuple[str, int] | None:
    if text == "none":
        return None
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise ValueError(f"--osc {text!r}: must be HOST:PORT or none")
    return host.strip("[]"), int(port)


def _midi_map(text: str) -> Path | None:
    """The file of learnt controllers, or None for none; ValueError if it cannot be read."""
    if text == "none":
        return None
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        reason = "there is no home folder; name a file or none"
        raise ValueError(f"--midi-map {text}: {reason}") from None
    read_map(path)
    return path


def _version() -> str:
    try:
        return f"melstream {metadata.version('melstream')}"
    except metadata.PackageNotFoundError:
        return "melstream (not installed)"


def _common_flags(parser: argparse.ArgumentParser, lookahead: str) -> argparse.ArgumentParser:
    parser.add_argument("--bank", type=Path, default=DEFAULT_BANK, help="folder of a bank")
    parser.add_argument("--vocoder", choices=VOCODERS, default="auto")
    parser.add_argument("--sampler", choices=("auto", *SAMPLERS), default="auto")
    parser.add_argument("--lookahead", default=str(LOOKAHEAD), help=lookahead)
    parser.add_argument("--seed", type=int, default=0, help="of the random draws")
    parser.add_argument(
        "--midi-map",
        metavar="FILE",
        default=MIDI_MAP,
        help=f"what controllers have learnt to turn, or none (default {MIDI_MAP})",
    )
    return parser


def _server_flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_server.py",
        description="Play neural instruments live. `run_server.py render --help`: render a file.",
    )
    parser.add_argument("--patch", help="patch to start with (default: the bank's first)")
    parser.add_argument("--midi", default="auto", help="auto, none or an input port's name")
    parser.add_argument("--osc", default="127.0.0.1:9000", help="HOST:PORT or none")
    parser.add_argument("--audio", default="auto", help="auto, none or an output device")
    parser.add_argument(
        "--buffer",
        metavar="MS",
        default=f"{SPARE_MS:g}",
        help="sound kept ready beyond the device's own, at least one frame: more where it "
        f"breaks off (default {SPARE_MS:g})",
    )
    parser.add_argument("--record", type=Path, metavar="WAV", help="keep what is played")
    parser.add_argument("--list-devices", action="store_true", help="list audio outputs")
    return _common_flags(parser, f"frames (8 ms) of patience, 0..{MOST_LOOKAHEAD}")


def _render_flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_server.py render", description="Render a MIDI file to a WAV."
    )
    parser.add_argument("midi", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--part",
        action="append",
        default=[],
        metavar="CH=NAME",
        help="patch of a channel, whatever programs the file asks for",
    )
    parser.add_argument(
        "--patch", help="patch of every channel but drums; without it the file's programs decide"
    )
    return _common_flags(parser, f"frames (8 ms), 0..{MOST_LOOKAHEAD}, or full")


if __name__ == "__main__":
    sys.exit(main())
