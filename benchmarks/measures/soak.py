"""Does it keep playing? Minutes of random notes and moving knobs, in a real server.

The server has no audio device. Notes come over OSC at an even rate, on several parts with
different patches; meanwhile knobs, pedals, gains and patches change.

    load                   mean of what /status answered every 5 s: render time / block time
    peak_load              the worst single block
    underruns to refused   the server's own counts, from /status
    stalls                 how often the machine itself stood still for more than 1 ms, on the
                           same cores (benchmarks/rigs/stalls.py)
    most_stalled_ms        the most that stalls took out of any 100 ms
    memory_start_mb        resident memory at the first reading; memory_end_mb: at the last
    growth_mb_per_minute   slope of a line through the readings of the second half, when all
                           parts have played and everything is loaded
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.cores import usable_cores
from benchmarks.flags import above, add_bank_flags, add_lookahead_flag, whole
from benchmarks.report.picture import save_picture
from benchmarks.rigs.live import LiveServer, osc
from benchmarks.rigs.stalls import StallWatch, most_stalled_ms
from benchmarks.rows import Row
from common.threads import on_cores
from common.window import PARTS
from player.telemetry import Telemetry
from synth.bank.bank import load_bank

SUMMARY = "does it keep playing for minutes, as fast and as small as at the start?"
LOWEST, HIGHEST = 36, 83
"""MIDI keys of the random notes."""
LONGEST_S = 1.5
KNOB_EVERY_S = 0.1
READ_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The server at one moment. at: seconds since the beginning; memory_mb: resident."""

    at: float
    status: Telemetry
    memory_mb: float


def add_flags(parser: argparse.ArgumentParser) -> None:
    """How long, how much, and on what."""
    add_bank_flags(parser)
    add_lookahead_flag(parser, full=False)
    add = parser.add_argument
    add("--minutes", type=above(0), default=10.0)
    add("--parts", type=whole(1, PARTS[-1]), default=2, help="parts that play at once")
    add("--density", type=above(0), default=8.0, help="notes per second, all parts together")
    add("--core", type=int, help="run the server on this core only, and the player on others")
    add("--picture", type=Path, help="PNG: memory, load and gaps as time goes on")
    add("--buffer", default="10", help="milliseconds that the renderer may be late")
    add("--seed", type=int, default=0, help="random seed of the notes")


def measure(options: argparse.Namespace) -> list[Row]:
    """One row. ValueError for a flag out of range, OSError for a server that ends."""
    bank = load_bank(options.bank)
    flags = ["--bank", str(options.bank.resolve()), "--vocoder", options.vocoder]
    flags += ["--lookahead", str(options.lookahead), "--buffer", options.buffer]
    seconds = 60 * options.minutes
    packets = random_packets(bank.names, list(bank.knobs), seconds, options)
    servers, ours = _divided(options.core)
    with on_cores(servers):
        watch, server = StallWatch(), LiveServer(flags)
    with server:
        with on_cores(ours), watch:
            readings = list(_readings(server, packets, seconds))
        server.stop()
    if options.picture:
        draw(options.picture, readings)
    return [_row(options, readings, watch.stalls)]


def _divided(core: int | None) -> tuple[list[int], list[int]]:
    """Cores for the server and the stall watch, and cores for this process."""
    usable = usable_cores()
    if core is None:
        return usable, usable
    if core not in usable:
        raise ValueError(f"--core {core}: this process may use cores {usable}")
    return [core], [other for other in usable if other != core] or usable


def random_packets(
    patches: Sequence[str], knobs: Sequence[str], seconds: float, options: argparse.Namespace
) -> list[tuple[float, bytes]]:
    """All that is sent: (seconds from the beginning, OSC packet), in order of time."""
    rng = np.random.default_rng(options.seed)
    packets = [
        (0.0, osc(f"/part/{part}/patch", patches[(part - 1) % len(patches)]))
        for part in range(1, options.parts + 1)
    ]
    for onset in np.sort(rng.uniform(0, seconds, round(options.density * seconds))):
        note = f"/part/{rng.integers(1, options.parts + 1)}/note"
        key, velocity = int(rng.integers(LOWEST, HIGHEST + 1)), int(rng.integers(20, 128))
        packets.append((onset, osc(note, key, velocity)))
        packets.append((onset + rng.uniform(0.05, LONGEST_S), osc(note, key, 0)))
    for at in np.arange(0, seconds, KNOB_EVERY_S):
        part = f"/part/{rng.integers(1, options.parts + 1)}"
        moves = [
            osc(f"{part}/timbre/0", float(rng.uniform(-1, 1))),
            osc(f"{part}/pan", float(rng.uniform(-1, 1))),
            osc(f"{part}/gain_db", float(rng.uniform(-12, 0))),
            osc(f"{part}/cc", 64, int(rng.integers(0, 2)) * 127),
            osc(f"{part}/patch", patches[int(rng.integers(len(patches)))]),
            *(osc(f"{part}/knob/{name}", float(rng.uniform(0, 1))) for name in knobs),
        ]
        packets.append((float(at), moves[int(rng.integers(len(moves)))]))
    return sorted((at, packet) for at, packet in packets if at < seconds)


def resident_mb(process: int) -> float:
    """Memory that a process holds in RAM, in MB; NaN where the system has no /proc."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return float("nan")
    (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmRSS:"))
    return int(line.split()[1]) / 1000


def _readings(
    server: LiveServer, packets: list[tuple[float, bytes]], seconds: float
) -> Iterator[Reading]:
    """Send everything; a reading every few seconds and at the end."""
    began, waiting, at = time.perf_counter(), iter(packets), 0.0
    coming = next(waiting, None)
    with tqdm(total=round(seconds), unit="s", desc="soak") as progress:
        while at < seconds:
            at = min(at + READ_EVERY_S, seconds)
            while coming and coming[0] < at:
                time.sleep(max(began + coming[0] - time.perf_counter(), 0))
                server.send(coming[1])
                coming = next(waiting, None)
            time.sleep(max(began + at - time.perf_counter(), 0))
            status = server.status()
            progress.set_postfix_str(f"load {status.load:.2f}, underruns {status.underruns}")
            progress.update(round(at) - progress.n)
            yield Reading(at, status, resident_mb(server.process.pid))


def draw(path: Path, readings: Sequence[Reading]) -> None:
    """Curves over the minutes of a soak, into a PNG."""
    minutes = [reading.at / 60 for reading in readings]
    figure = Figure(figsize=(9, 7), layout="constrained")
    memory, load, gaps = figure.subplots(3, 1, sharex=True)
    resident = [reading.memory_mb for reading in readings]
    memory.plot(minutes, resident)
    memory.set(ylabel="memory, MB", ylim=(0, 1.2 * max(resident)))
    load.plot(minutes, [reading.status.load for reading in readings], label="lately")
    load.plot(minutes, [reading.status.peak_load for reading in readings], label="at most so far")
    load.set(ylabel="render time / block time", ylim=(0, None))
    gaps.plot(minutes, [reading.status.underruns for reading in readings], label="underruns so far")
    gaps.plot(
        minutes, [reading.status.given_up for reading in readings], label="parts given up now"
    )
    gaps.set(ylabel="count", ylim=(0, None), xlabel="minutes")
    for axes in (load, gaps):
        axes.legend()
    save_picture(figure, path)


def _row(
    options: argparse.Namespace,
    readings: list[Reading],
    stalls: list[tuple[float, float]] | None,
) -> Row:
    last = readings[-1].status
    memory = np.array([reading.memory_mb for reading in readings])
    at = np.array([reading.at for reading in readings])
    half = len(readings) // 2
    slope = np.polyfit(at[half:], memory[half:], 1)[0] if len(readings) - half > 1 else np.nan
    return {
        "minutes": options.minutes,
        "vocoder": options.vocoder,
        "lookahead": options.lookahead,
        "core": options.core,
        "buffer_ms": last.output_ms,
        "density": options.density,
        "parts": max(reading.status.parts for reading in readings),
        "load": float(np.mean([reading.status.load for reading in readings])),
        "peak_load": last.peak_load,
        "underruns": last.underruns,
        "stalls": None if stalls is None else len(stalls),
        "most_stalled_ms": None if stalls is None else most_stalled_ms(stalls, 0.1),
        "late": last.late,
        "dropped": last.dropped,
        "malformed": last.malformed,
        "refused": last.refused,
        "memory_start_mb": float(memory[0]),
        "memory_end_mb": float(memory[-1]),
        "growth_mb_per_minute": float(60 * slope),
    }
