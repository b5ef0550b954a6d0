"""The instrument played live: listeners, the render loop and a sink, until it is stopped."""

from __future__ import annotations

import gc
import logging
import signal
import time
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from common.checks import listed, printable
from common.jack.link import jack_link
from common.plugin.link import PluginLink
from common.threads import DEVICE, LISTENER, RENDERER, go_before_others
from common.version import version
from common.window import PARTS
from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.learn import read_map
from daw_bridge.desk.snapshots import Keeper
from daw_bridge.desk.watch import PatchWatch
from daw_bridge.desk.zones import LOWER, MOST_MEMBERS, UPPER
from daw_bridge.inbox import Inbox
from daw_bridge.midi.inputs import midi_inputs
from daw_bridge.midi.messages import MidiTranslator
from daw_bridge.midi.port import MidiInput
from daw_bridge.osc.announce import OSC, OSCQUERY, Announcement, Service, can_announce
from daw_bridge.osc.holders import Holders
from daw_bridge.osc.replies import is_this_machine
from daw_bridge.osc.server import OscServer
from daw_bridge.windows import Windows
from page.address import Bound, listen
from page.app import Application
from page.columns import Columns
from page.fits import Fits
from page.measured import Gauge
from page.messages import MessageLog
from page.server import PageServer
from page.state import About
from page.tap import Tap, TapMeter
from player.demo import Demo
from player.flags import LiveFlags
from player.overload import Overload
from player.plugin import PluginDesk
from player.telemetry import Telemetry
from player.warming import warm_up
from synth.bank.bank import Bank, load_bank
from synth.compiling import compiling_shown
from synth.engine import Engine
from synth.instrument import make_instrument
from synth.limiter import KNEE, Limiter
from synth.output.choice import JACK, PLUGIN, open_sink, quiet_libraries
from synth.output.pairs import PartPairs
from synth.output.sinks import Sink

_log = logging.getLogger(__name__)

END = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that end it as Ctrl-C does. A terminal that is closed sends SIGHUP; Windows has none."""
BLOCK_FRAMES = 1
"""Frames rendered at once: 8 ms, the finest step there is."""


def serve(flags: LiveFlags, around: Callable[[Sink], Sink] = lambda sink: sink) -> bool:
    """Play live until Ctrl-C, SIGTERM or SIGHUP; whether the recording, if any, held until then.

    around: puts a sink of the caller's around the one asked for, to watch it. Raises ValueError
    or OSError for what cannot be had.
    """
    bank = load_bank(flags.bank, flags.patches_path())
    first = bank.names[0] if flags.patch is None else flags.patch
    bank.patch(first)
    osc_address, midi_map = flags.osc_address(), flags.midi_map_path()
    http_address, desks = flags.http_address(), flags.desk_path()
    holders = Holders(flags.osc_silence_s(), flags.osc_silence != "never")
    midi_ports = flags.midi_ports()
    if midi_map:
        read_map(midi_map)
    with ExitStack() as stack:
        # Now, and not after a minute of compiling: a browser that comes meanwhile waits for it.
        bound = listen(http_address) if http_address else None
        if bound:
            stack.callback(bound.socket.close)
        print("preparing", flush=True)
        with compiling_shown() as shown:
            instrument = make_instrument(bank, flags.vocoder, flags.sampler, flags.low_latency)
            warm_up(instrument, flags.lookahead, flags.seed, flags.low_latency, shown.count)
        link = jack_link() if flags.audio in ("auto", JACK) or midi_ports != ("none",) else None
        if link:
            stack.callback(link.close)
        plugin = PluginLink() if flags.audio == PLUGIN else None
        if plugin:
            stack.callback(plugin.close)
        pairs = PartPairs(flags.gain) if flags.outputs == "parts" else None
        sink, found = open_sink(
            flags.audio,
            bank.analysis.rate,
            flags.buffer_ms,
            flags.record,
            link,
            pairs is not None,
            plugin,
        )
        sink = around(sink)
        engine = instrument.engine(flags.lookahead, flags.seed, Limiter(flags.gain))
        player = Player(bank, engine, sink, midi_map, desks, pairs)
        for part in PARTS:
            player.desk.patch(part, first, 0)
        stood = flags.patch is None and desks is not None and _as_it_stood(player.desk)
        if flags.mpe != "none":
            player.desk.open_zone(LOWER if flags.mpe == "lower" else UPPER, MOST_MEMBERS)
        for number in (signal.SIGINT, *END):
            signal.signal(number, lambda *_: player.stop())
        # Threads inherit it from the one that starts them.
        first_served = go_before_others(LISTENER)
        log = MessageLog()
        if flags.timetags == "heard":
            player.clock.lead_s = lambda: player.telemetry().latency_ms / 1000
        if osc_address:
            player.osc = OscServer(
                player.desk,
                player.inbox,
                player.clock,
                player.status,
                version(),
                *osc_address,
                watch=log.note_osc if bound else None,
                peers=flags.osc_peers_allowed(),
                holders=holders,
                meter=TapMeter(player.tap),
            )
            stack.callback(player.osc.close)
        hear = log.around_midi(player.translator.hear_bytes) if bound else None
        with quiet_libraries():
            midi = midi_inputs(
                midi_ports, hear or player.translator.hear_bytes, player.clock.ahead, link, plugin
            )
        player.midi = midi
        stack.callback(midi.close)
        if link:
            link.latency_s = player.port_latency_s
            link.start()
        with quiet_libraries():
            midi.start()
        if plugin:
            stack.callback(PluginDesk(plugin, player.desk, player.port_latency_s).close)
        go_before_others(DEVICE)
        stack.enter_context(sink)
        lines = {
            "bank": f"{printable(str(bank.path))}: {listed(bank.names)}",
            "vocoder": instrument.reason,
            "sound": f"{found}{sink.describe()}",
            "midi": midi.summary,
            "osc": _osc_line(player.osc),
            "desk": f"as it stood ({desks}); --patch starts anew" if stood else "new",
            "latency": player.telemetry().latency_line(),
        }
        if missing := flags.without():
            lines["kept"] = f"nothing of {', '.join(missing)}"
        if desks:
            # The page and the demo put the desk back when they close, so it must close after them.
            keeper = Keeper(player.desk.snapshots, player.desk.parts)
            stack.callback(keeper.close)
        if bound:
            go_before_others(LISTENER)
            gauge = Gauge(instrument.mel2mel, bank.more)
            player.page = open_page(player, bound, log, lines, sink.is_device, gauge)
            stack.callback(player.page.close)
            notes = [bound.note] if bound.note else []
            if not sink.is_device:
                notes.append("open it to hear the sound")
            lines["page"] = bound.url + (f" ({'; '.join(notes)})" if notes else "")
        if services := _services(player.osc, bound):
            stack.callback(Announcement(services).close)
            lines["osc"] += " (announced by zeroconf)"
        if bank.own:
            stack.callback(PatchWatch(player.desk).close)
        go_before_others(RENDERER)
        _print_banner(lines, player, midi_map)
        if not first_served:
            print("priority that of any program; other programs may break the sound")
        print("ready; Ctrl-C stops", flush=True)
        for name, text in lines.items():
            _log.info("%s: %s", name, text)
        if bound and flags.open:
            webbrowser.open(bound.url)
        if flags.demo:
            session = Session(player.desk, player.inbox, player.status, version())
            stack.callback(Demo(session, player.clock).close)
        player.run()
        _log.info("stopped: %s", player.telemetry().counters_line())
        print(f"stopped; {player.telemetry().counters_line()}", flush=True)
    return not sink.failed


class Player:
    """The live instrument: an inbox that listeners fill, and the loop that plays it.

    pairs: what puts the parts beside the mix, if the sink plays them. osc: the server whose counts
    `telemetry` tells, if there is one; midi, page: likewise.
    """

    def __init__(
        self,
        bank: Bank,
        engine: Engine,
        sink: Sink,
        midi_map: Path | None = None,
        snapshots: Path | None = None,
        pairs: PartPairs | None = None,
    ) -> None:
        self.inbox = Inbox(hop=engine.hop)
        self.clock = AudioClock(bank.analysis.rate)
        self.desk = Desk(bank, self.inbox.post, self.clock.now, midi_map, snapshots)
        self.translator = MidiTranslator(
            self.desk, self.inbox.post, panics=lambda: self.inbox.panics
        )
        self.osc: OscServer | None = None
        self.midi: MidiInput | None = None
        self.page: PageServer | None = None
        self.tap = Tap()
        self.bank = bank
        self._engine, self._sink, self._pairs = engine, sink, pairs
        self.overload = Overload(engine, self.tap)
        self._windows = Windows(engine.hop, bank.point(bank.names[0]))
        self._stopped = False
        self._load = self._peak_load = 0.0
        self._frame_ms = 1000 * engine.hop / bank.analysis.rate

    def run(self) -> None:
        """Render and play until `stop`."""
        length = BLOCK_FRAMES * self._engine.hop
        # What stands now stays: collecting it again and again would cost whole blocks. The
        # little that comes after it is collected every few seconds, within a tenth of a ms.
        gc.collect()
        gc.freeze()
        gaps = 0, 0
        while not self._stopped:
            if (self._sink.underruns, self._sink.xruns) != gaps:
                gaps = self._sink.underruns, self._sink.xruns
                self.clock.stall()
            began, start = time.perf_counter(), self._engine.frame * self._engine.hop
            self.clock.tick(start, began)
            events = self.inbox.take_until(start + length)
            windows = self._windows.frames(events, self._engine.frame, BLOCK_FRAMES)
            sound = self._engine.render(windows, BLOCK_FRAMES)
            self.tap.put(start, sound, windows, self._engine.stems)
            load = (time.perf_counter() - began) * 1000 / (BLOCK_FRAMES * self._frame_ms)
            # For the server's own gaps no part of ours need fall silent.
            self.overload.after(load, gaps[0])
            self._load += (load - self._load) * 0.02
            self._peak_load = max(load, self._peak_load)
            if self._pairs:
                sound = self._pairs.block(sound, self._engine.stems)
            if not self._sink.write(sound):
                break

    def stop(self) -> None:
        """End `run` soon. From any thread, or a signal."""
        self._stopped = True
        self._sink.stop()

    @property
    def delay(self) -> int:
        """Frames that the sound runs behind the keys."""
        return self._engine.delay

    def port_latency_s(self) -> float:
        """Seconds from a note until its sound comes out of our own port to a sound server."""
        told = self.telemetry()
        terms = told.block_ms + told.lookahead_ms + told.vocoder_ms + self._sink.port_ms
        return terms / 1000

    def status(self) -> dict[str, int | float | str]:
        """What /status answers."""
        return self.telemetry().as_status()

    def telemetry(self) -> Telemetry:
        """How it is doing now. From any thread."""
        engine, frame_ms = self._engine, self._frame_ms
        given_up = engine.given_up
        return Telemetry(
            seconds=engine.frame * frame_ms / 1000,
            load=self._load,
            peak_load=self._peak_load,
            parts=engine.awake,
            overload=self.overload.level,
            overloads=self.overload.times,
            spared=int(engine.spared),
            given_up=len(given_up),
            faded=", ".join(map(str, sorted(given_up))),
            ordinary=self.overload.ordinary,
            underruns=self._sink.underruns + self._sink.xruns,
            limited_s=engine.limiter.limited * frame_ms / 1000 / engine.hop,
            limited_db=engine.limiter.most_db,
            late=self.inbox.late,
            dropped=self.inbox.dropped,
            malformed=self.osc.malformed if self.osc else 0,
            refused=self.osc.refused if self.osc else 0,
            withheld=self.osc.withheld if self.osc else 0,
            let_go=self.osc.let_go if self.osc else 0,
            ignored=self.translator.ignored,
            malformed_midi=self.translator.malformed,
            midi_lost=self.midi.lost if self.midi else 0,
            midi_faults=self.midi.faults if self.midi else 0,
            outside=self.translator.outside,
            page_dropped=self.page.dropped if self.page else 0,
            page_refused=self.page.refused if self.page else 0,
            fault=self._sink.fault or "",
            waiting=", ".join(self.midi.waiting) if self.midi else "",
            rate=self._sink.rate,
            # A note waits for the next block, and its tone is half a frame behind it, as a bounce
            # is aligned. How it got here is not counted: MIDI inputs are looked at once a
            # millisecond, half of one on average.
            block_ms=(BLOCK_FRAMES + 0.5) * frame_ms,
            lookahead_ms=engine.lookahead * frame_ms,
            vocoder_ms=(engine.delay - engine.lookahead) * frame_ms,
            output_ms=self._sink.latency_ms,
        )


def open_page(
    player: Player,
    bound: Bound,
    log: MessageLog,
    lines: Mapping[str, str],
    device: bool,
    gauge: Gauge,
) -> PageServer:
    """Serve the page of a player on a listening socket. lines: the banner; device: `About`."""
    bank, analysis = player.bank, player.bank.analysis
    about = About(
        bank=bank.path.resolve().name,
        rate=analysis.rate,
        frame_rate=analysis.frame_rate,
        mels=analysis.mels,
        delay=player.delay,
        lines=dict(lines),
        device=device,
        version=version(),
        osc=(player.osc.host, player.osc.port) if player.osc else None,
    )
    session = Session(player.desk, player.inbox, player.status, version())
    columns = Columns(player.tap, analysis, float(KNEE))
    fits = Fits(player.desk, bank.path, bank.own.folder if bank.own else None)
    application = Application(about, session, player.clock, player.tap, columns, log, gauge, fits)
    return PageServer(application, bound)


def _as_it_stood(desk: Desk) -> bool:
    """Let the desk stand as it did when the server ended; whether that is known."""
    try:
        last = desk.snapshots.last()
        desk.recall(last, 0)
    except ValueError as error:
        kept = "that file is kept with a ~ at its end"
        try:
            desk.snapshots.back_up_last()
        except ValueError as problem:
            kept = f"and that file cannot be kept: {problem}"
        _log.warning("%s; the desk starts anew, %s", error, kept)
        return False
    return bool(last)


def _osc_line(osc: OscServer | None) -> str:
    if not osc:
        return "off"
    line = f"{osc.host}:{osc.port}, e.g. /part/1/note 60 100"
    if is_this_machine(osc.host):
        return line
    return f"{line}; warning: other machines can play this one, and change all but files"


def _services(osc: OscServer | None, bound: Bound | None) -> list[Service]:
    """What is announced on the network, if it can be.

    A page that asks for a token is left out: a surface that found it could not speak to it.
    """
    if not can_announce():
        return []
    services = [Service(OSC, osc.host, osc.port)] if osc else []
    if bound and not bound.token:
        services.append(Service(OSCQUERY, bound.host, bound.port))
    return services


def _print_banner(lines: Mapping[str, str], player: Player, midi_map: Path | None) -> None:
    for name, text in lines.items():
        print(f"{name:<9}{text}")
        if name == "midi":
            for controller, knob in player.desk.learnt.bound.items():
                print(f"         controller {controller} turns {knob} ({midi_map})")
