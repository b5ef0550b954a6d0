"""When each block was played: the server with a clock on its sink.

    python -m benchmarks.rigs.stamps STAMPS.npz --audio none --record take.wav ...

This is `run_server.py` itself; only the sink is wrapped, to note when each block was taken.
`time.perf_counter` is the same clock in every process of a machine, so a note's sender and this
sink share it. A sink without a device takes a block only when the block fills its reserve.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from run_server import main
from synth.output.sinks import Samples, Sink, SinkAround


class StampedSink(SinkAround):
    """Passes blocks on to `sink` and notes when each was taken.

    `close` writes path: took (blocks,), perf_counter seconds at which the write returned;
    samples (blocks,), lengths; underruns (blocks,), so many until then; reserve (), seconds.
    """

    def __init__(self, sink: Sink, path: Path) -> None:
        super().__init__(sink)
        self._path = path
        self._stamps: list[tuple[float, int, int]] = []

    def write(self, block: Samples) -> bool:
        taken = self._sink.write(block)
        if taken:
            self._stamps.append((time.perf_counter(), len(block), self._sink.underruns))
        return taken

    def close(self) -> None:
        super().close()
        took, samples, underruns = np.array(self._stamps, float).reshape(-1, 3).T
        np.savez(
            self._path,
            took=took,
            samples=samples.astype(int),
            underruns=underruns,
            reserve=self.latency_ms / 1000,
        )


def due_times(
    took: np.ndarray, samples: np.ndarray, underruns: np.ndarray, reserve: float, rate: int
) -> np.ndarray:
    """When each block's first sample was played, in seconds of the stamps' clock: (blocks,).

    Between two underruns each block follows the one before it without a gap. A write that
    returned late tells of the thread, not of the sound. So the blocks between two underruns lie
    on one line through the earliest return, later by the reserve minus the block. reserve:
    seconds of sound that the sink holds when full.
    """
    ideal = (np.cumsum(samples) - samples) / rate
    took = took + reserve - samples / rate
    due = np.empty(len(took))
    for count in np.unique(underruns):
        stretch = underruns == count
        due[stretch] = ideal[stretch] + (took[stretch] - ideal[stretch]).min()
    return due


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], lambda sink: StampedSink(sink, Path(sys.argv[1]))))
