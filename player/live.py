"""The instrument played live: listeners, the render loop and a sink, until it is stopped."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from common.threads import DEVICE, LISTENER, RENDERER, go_before_others
from common.window import PARTS
from daw_bridge.clock import AudioClock
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.learn import read_map
from daw_bridge.events import NoteOn
from daw_bridge.inbox import Inbox
from daw_bridge.midi.messages import MidiTranslator
from daw_bridge.midi.port import MidiInput, open_input
from daw_bridge.osc.server import OscServer
from daw_bridge.windows import Windows
from player.flags import LiveFlags
from player.telemetry import Telemetry
from player.version import version
from synth.bank.bank import Bank, load_bank
from synth.compiling import compiling_shown
from synth.engine import Engine
from synth.instrument import make_instrument
from synth.limiter import Limiter
from synth.output.choice import open_sink, quiet_libraries
from synth.output.sinks import Sink

BLOCK_FRAMES = 1
"""Frames rendered at once: 8 ms, the finest step there is."""


def serve(flags: LiveFlags, around: Callable[[Sink], Sink] = lambda sink: sink) -> bool:
    """Play live until Ctrl-C or SIGTERM; whether the output and the recording held until then.

    around: puts a sink of the caller's around the one asked for, to watch it. Raises ValueError
    or OSError for what cannot be had.
    """
    bank = load_bank(flags.bank)
    first = bank.names[0] if flags.patch is None else flags.patch
    bank.patch(first)
    address, midi_map = flags.osc_address(), flags.midi_map_path()
    if midi_map:
        read_map(midi_map)
    block_ms = 1000 * BLOCK_FRAMES / bank.analysis.frame_rate
    print("preparing", flush=True)
    with compiling_shown():
        instrument = make_instrument(bank, flags.vocoder, flags.sampler)
        _warm_up(instrument.engine(flags.lookahead, flags.seed), bank)
    spare_ms = max(flags.buffer, block_ms)
    sink, found = open_sink(flags.audio, bank.analysis.rate, spare_ms, flags.record)
    sink = around(sink)
    engine = instrument.engine(flags.lookahead, flags.seed, Limiter(flags.gain))
    player = Player(bank, engine, sink, midi_map)
    for part in PARTS:
        player.desk.patch(part, first, 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: player.stop())
    # Threads inherit it from the one that starts them.
    first_served = go_before_others(LISTENER)
    with ExitStack() as stack:
        if address:
            player.osc = OscServer(
                player.desk, player.inbox, player.clock, player.status, version(), *address
            )
            stack.callback(player.osc.close)
        with quiet_libraries():
            midi = open_input(flags.midi, player.translator.hear_bytes, player.clock.now)
        stack.callback(midi.close)
        go_before_others(DEVICE)
        stack.enter_context(sink)
        go_before_others(RENDERER)
        print(f"bank     {bank.path}: {', '.join(bank.names)}")
        print(f"vocoder  {instrument.reason}")
        print(f"sound    {found}{sink.describe()}")
        _print_inputs(midi, player, midi_map)
        print(f"latency  {player.telemetry().latency_line()}")
        if not first_served:
            print("priority that of any program; other programs may break the sound")
        print("ready; Ctrl-C stops", flush=True)
        player.run()
        print(f"stopped; {player.telemetry().counters_line()}", flush=True)
    return not sink.fault


class Player:
    """The live instrument: an inbox that listeners fill, and the loop that plays it.

    osc: the server whose counts `telemetry` tells, if there is one.
    """

    def __init__(
        self, bank: Bank, engine: Engine, sink: Sink, midi_map: Path | None = None
    ) -> None:
        self.inbox = Inbox()
        self.clock = AudioClock(bank.analysis.rate)
        self.desk = Desk(bank, self.inbox.post, self.clock.now, midi_map)
        self.translator = MidiTranslator(self.desk, self.inbox.post)
        self.osc: OscServer | None = None
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

    def status(self) -> dict[str, int | float | str]:
        """What /status answers."""
        return self.telemetry().as_status()

    def telemetry(self) -> Telemetry:
        """How it is doing now. From any thread."""
        engine, frame_ms = self._engine, self._frame_ms
        return Telemetry(
            seconds=engine.frame * frame_ms / 1000,
            load=self._load,
            peak_load=self._peak_load,
            parts=engine.awake,
            underruns=self._sink.underruns,
            limited_s=engine.limiter.limited * frame_ms / 1000 / engine.hop,
            limited_db=engine.limiter.most_db,
            late=self.inbox.late,
            dropped=self.inbox.dropped,
            malformed=self.osc.malformed if self.osc else 0,
            refused=self.osc.refused if self.osc else 0,
            ignored=self.translator.ignored,
            malformed_midi=self.translator.malformed,
            outside=self.translator.outside,
            rate=self._sink.rate,
            # A note waits for the next block, and acts on the whole frame that it falls into:
            # half a frame early on average. How it got here is not counted: MIDI inputs are
            # looked at once a millisecond, half of one on average.
            block_ms=(BLOCK_FRAMES - 0.5) * frame_ms,
            lookahead_ms=engine.lookahead * frame_ms,
            vocoder_ms=(engine.delay - engine.lookahead) * frame_ms,
            output_ms=self._sink.latency_ms,
        )


def _print_inputs(midi: MidiInput, player: Player, midi_map: Path | None) -> None:
    print(f"midi     {midi.summary.removeprefix('MIDI: ')}")
    for controller, knob in player.desk.learnt.bound.items():
        print(f"         controller {controller} turns {knob} ({midi_map})")
    osc = player.osc
    print(f"osc      {f'{osc.host}:{osc.port}, e.g. /part/1/note 60 100' if osc else 'off'}")


def _warm_up(engine: Engine, bank: Bank) -> None:
    """Play a short note to nobody, so that nothing is compiled while somebody listens."""
    windows = Windows(engine.hop, bank.point(bank.names[0]))
    note = [NoteOn(0, 1, 60, 100)]
    for frame in range(engine.delay + 3):
        engine.render(windows.frames(note if frame == 0 else [], frame, 1), 1)
