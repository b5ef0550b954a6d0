"""What gives way when there is too much to do, and does it come back?

A real server without a device is kept on one core, with chords on many parts. For a while another
program takes a share of that core at the renderer's own real-time priority
(benchmarks/rigs/hog.py).

    phase          alone, then beside the other program, then alone again
    load           mean of what /status answered twice a second: render time / block time
    underruns      gaps in the sound
    overload       the most that gave way: 1 pages, 2 the WaveNet, 3 parts
    given_up       the most parts that were silent because of it, and end: at the end of the phase
    ordinary       how often the renderer lost its real-time priority
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.cores import last_cores
from benchmarks.flags import above, add_bank_flags, whole
from benchmarks.rigs.live import ROOT, LiveServer, osc
from benchmarks.rows import Row
from common.threads import on_cores
from common.window import PARTS
from player.telemetry import Telemetry
from synth.bank.bank import load_bank

SUMMARY = "what gives way when there is too much to do, and does it come back?"
CHORD = (0, 7, 16, 24)
LOWEST = 40
STRUCK_EVERY_S, LOOK_S = 2.0, 0.5


def add_flags(parser: argparse.ArgumentParser) -> None:
    """How many parts, and how much the other program takes."""
    add_bank_flags(parser)
    add = parser.add_argument
    add("--parts", type=whole(1, PARTS[-1]), default=8, help="parts that play chords")
    add("--hog", type=above(0), default=0.6, help="share of the core that is taken, below 1")
    add("--seconds", type=above(0), default=15.0, help="of each phase")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each phase. OSError for a server that ends."""
    flags = ["--bank", str(options.bank.resolve()), "--vocoder", options.vocoder]
    names = load_bank(options.bank).names
    core, rows = last_cores(1), []
    with on_cores(core):
        server = LiveServer(flags)
    with server:
        for part in range(1, options.parts + 1):
            server.send(osc(f"/part/{part}/patch", names[(part - 1) % len(names)]))
        for phase in ("alone", "beside", "after"):
            hog = None
            before = server.status()
            if phase == "beside":
                command = [sys.executable, "-m", "benchmarks.rigs.hog"]
                with on_cores(core):
                    hog = subprocess.Popen(
                        [*command, str(options.hog), str(options.seconds)], cwd=ROOT
                    )
            readings = list(_readings(server, options.parts, options.seconds))
            if hog:
                hog.wait()
            rows.append(_row(options, phase, before, readings))
        server.stop()
    return rows


def _readings(server: LiveServer, parts: int, seconds: float) -> Iterator[Telemetry]:
    """What the server says while chords are struck again and again."""
    end, strike = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        if time.monotonic() >= strike:
            strike = time.monotonic() + STRUCK_EVERY_S
            for part in range(1, parts + 1):
                for step in CHORD:
                    key = LOWEST + step + part
                    server.send(osc(f"/part/{part}/note", key, 0))
                    server.send(osc(f"/part/{part}/note", key, 90))
        yield server.status()
        time.sleep(LOOK_S)


def _row(
    options: argparse.Namespace, phase: str, before: Telemetry, readings: list[Telemetry]
) -> Row:
    last = readings[-1]
    return {
        "phase": phase,
        "parts": options.parts,
        "vocoder": options.vocoder,
        "hog": options.hog if phase == "beside" else 0.0,
        "load": sum(r.load for r in readings) / len(readings),
        "underruns": last.underruns - before.underruns,
        "overload": max(r.overload for r in readings),
        "given_up": max(r.given_up for r in readings),
        "given_up_end": last.given_up,
        "ordinary": last.ordinary - before.ordinary,
    }
