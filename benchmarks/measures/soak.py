"""Does it play on? Minutes of random notes and moving knobs, in a real server without a device.

Notes come over OSC at an even density, on several parts with patches of their own, from one
to four keys deep each; knobs, pedals, gains and patches move meanwhile. load is the mean of
what /status said every few seconds, peak_load the worst single block; stalls counts how often
the machine itself stood still for over 1 ms (`stalls.py`), on the same cores, most_stalled_ms the
most of any 100 ms; memory is what the process held in RAM (resident) after the first reading and
at the end, growth a straight line through the readings of the second half, when all parts have
played and everything is loaded.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.rigs.live import LiveServer, Told
from benchmarks.rigs.stalls import StallWatch, most_stalled_ms
from benchmarks.rows import Row, add_bank_flags
from common.window import PARTS
from daw_bridge.osc.packet import encode
from synth.bank.bank import load_bank

SUMMARY = "does it play on for minutes, as fast and as small as it began?"
KEYS = (36, 84)
LONGEST_S = 1.5
KNOB_EVERY_S = 0.1
READ_EVERY_S = 5.0


def add_flags(parser: argparse.ArgumentParser) -> None:
    """How long, how much, and on what."""
    add_bank_flags(parser)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--parts", type=int, default=2, help="that play at once")
    parser.add_argument("--density", type=float, default=8.0, help="notes a second, all parts")
    parser.add_argument("--lookahead", type=int, default=0, help="frames")
    parser.add_argument("--core", type=int, help="pin the server to it, from 0; not the player")
    parser.add_argument("--buffer", default="10", help="ms that the renderer may be late")
    parser.add_argument("--seed", type=int, default=0, help="of the notes")


def measure(options: argparse.Namespace) -> list[Row]:
    """One row. ValueError for a flag out of range, OSError for a server that ends."""
    bank = load_bank(options.bank)
    if not 1 <= options.parts <= max(PARTS):
        raise ValueError(f"--parts {options.parts}: must be 1..{max(PARTS)}")
    for name in ("minutes", "density"):
        if not getattr(options, name) > 0:
            raise ValueError(f"--{name} {getattr(options, name)}: must be above 0")
    flags = ["--bank", str(options.bank.resolve()), "--vocoder", options.vocoder]
    flags += ["--lookahead", str(options.lookahead), "--buffer", options.buffer]
    seconds = 60 * options.minutes
    packets = play(bank.names, list(bank.knobs), seconds, options)
    with _pinned(options.core):
        watch, server = StallWatch(), LiveServer(flags)
    with server:
        with watch:
            readings = list(_readings(server, packets, seconds))
        said = server.stop()
    counted = {
        name: int(re.search(rf"{name} \w+ (\d+)", said).group(1))
        for name in ("malformed", "refused")
    }
    return [_row(options, readings, counted, watch.stalls)]


@contextmanager
def _pinned(core: int | None) -> Iterator[None]:
    """Where a core is given, processes begun meanwhile stay on it, and this one leaves it."""
    if core is None:
        yield
        return
    if not hasattr(os, "sched_setaffinity") or core not in os.sched_getaffinity(0):
        raise ValueError(f"--core {core}: is no core that this process may use")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before - {core} or before)


def play(
    patches: list[str], knobs: list[str], seconds: float, options: argparse.Namespace
) -> list[tuple[float, bytes]]:
    """The whole take: (seconds from its start, OSC packet), in order of time."""
    rng = np.random.default_rng(options.seed)
    packets = [
        (0.0, encode(f"/part/{part}/patch", patches[(part - 1) % len(patches)]))
        for part in range(1, options.parts + 1)
    ]
    for onset in np.sort(rng.uniform(0, seconds, round(options.density * seconds))):
        note = f"/part/{rng.integers(1, options.parts + 1)}/note"
        key, velocity = int(rng.integers(*KEYS)), int(rng.integers(20, 128))
        packets.append((onset, encode(note, key, velocity)))
        packets.append((onset + rng.uniform(0.05, LONGEST_S), encode(note, key, 0)))
    for at in np.arange(0, seconds, KNOB_EVERY_S):
        part = f"/part/{rng.integers(1, options.parts + 1)}"
        moves = [
            encode(f"{part}/timbre/0", float(rng.uniform(-1, 1))),
            encode(f"{part}/pan", float(rng.uniform(-1, 1))),
            encode(f"{part}/gain_db", float(rng.uniform(-12, 0))),
            encode(f"{part}/cc", 64, int(rng.integers(0, 2)) * 127),
            encode(f"{part}/patch", patches[rng.integers(len(patches))]),
            *(encode(f"{part}/knob/{name}", float(rng.uniform(0, 1))) for name in knobs),
        ]
        packets.append((float(at), moves[rng.integers(len(moves))]))
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
) -> Iterator[Told]:
    """Play it; the status every few seconds and at the end, with memory_mb and wall seconds."""
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
            told = server.status()
            progress.set_postfix_str(f"load {told['load']:.2f}, underruns {told['underruns']}")
            progress.update(round(at) - progress.n)
            yield told | {"memory_mb": resident_mb(server.process.pid), "at": at}


def _row(
    options: argparse.Namespace,
    readings: list[Told],
    counted: dict[str, int],
    stalls: list[tuple[float, float]] | None,
) -> Row:
    last = readings[-1]
    memory = np.array([told["memory_mb"] for told in readings])
    at = np.array([told["at"] for told in readings])
    half = len(readings) // 2
    slope = np.polyfit(at[half:], memory[half:], 1)[0] if len(readings) - half > 1 else np.nan
    return {
        "minutes": options.minutes,
        "vocoder": options.vocoder,
        "lookahead": options.lookahead,
        "core": options.core,
        "buffer_ms": last["output_ms"],
        "density": options.density,
        "parts": max(told["parts"] for told in readings),
        "load": float(np.mean([told["load"] for told in readings])),
        "peak_load": last["peak_load"],
        "underruns": last["underruns"],
        "stalls": None if stalls is None else len(stalls),
        "most_stalled_ms": None if stalls is None else most_stalled_ms(stalls, 0.1),
        "late": last["late"],
        "dropped": last["dropped"],
        **counted,
        "memory_start_mb": float(memory[0]),
        "memory_end_mb": float(memory[-1]),
        "growth_mb_per_minute": float(60 * slope),
    }
