"""What the triton sampler should cost on an H200, from bytes and dependent steps.

    python -m benchmarks.measures.gpu_model

prints a table, to compare a measured one with (`python -m benchmarks sampler --sampler triton`).
Nothing here was measured with our kernel; CHIP says where each rate comes from.

A program of `wide` takes 16 streams through the layers one after the other, so a sample costs
the sum over layers of the slower of two things: its chain of dependent steps, and the copying
of its matrices from the L2 cache, which runs beside it, two layers ahead. With many programs
they share the L2 cache's rate. Issuing the instructions takes time too, which the waiting for
results may hide or not: each figure is given for both, and the truth should lie between.

`quick` is a kernel that was not built. It would divide the layers among programs that keep their
matrices and pass activations on through global memory. A single stream would need no copying,
but a hop for every program. A Triton kernel cannot keep data in shared memory from one turn of a
loop to the next, so the matrices would have to stay in registers: about 135 of 255 for each of
256 threads, three layers per program, seven programs, nine hops per sample with those to the
output layers and back. In shared memory (CUDA) it would be four programs and six hops. Both are
slower than `wide`, whose chain takes as long as the copying beside it; only a far shorter chain
would change that. More streams would fill the pipeline, but they cost nothing in `wide` either.
And loops in which programs wait for each other could not be tested without a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from benchmarks.rows import Row, show
from synth.vocoders.wavenet.mulaw import CLASSES
from synth.vocoders.wavenet.network import WaveNetConfig

STREAMS = 16
"""Of one program of `wide`, as in the triton sampler (which not every system can import)."""
HALF, SINGLE = 2, 4
"""Bytes of a weight; of a number in conditioning and history."""


@dataclass(frozen=True, slots=True)
class Chip:
    """Rates of a GPU. Clocks are of its processors."""

    processors: int
    clock_hz: float
    l2_to_processor: float
    """Bytes a clock that one processor gets from the L2 cache."""
    l2: float
    """Bytes a second that all get together."""
    dram: float
    """Bytes a second."""
    l2_latency: float
    """Clocks until data from the L2 cache is there."""
    product: float
    """Clocks until one tensor core product (16 x 8 x 16) may follow one that it depends on."""
    exchange: float
    """Clocks for values to pass between threads through shared memory, with its barrier."""
    hop_s: float
    """Seconds for values to pass between programs: store, release, notice, load."""


CHIP = Chip(
    processors=132,  # seen on an H200
    clock_hz=1.98e9,  # seen on an H200, under load
    l2_to_processor=64,  # Hopper's peak, as published by others' microbenchmarks
    l2=5.5e12,  # likewise
    dram=4.3e12,  # seen on an H200: a copy, bytes read and written
    l2_latency=270,  # others' microbenchmarks
    product=33,  # likewise
    exchange=100,  # likewise: a store, a barrier of eight warps, a matrix load
    hop_s=0.8e-6,  # two round trips to the L2 cache, a fence, and half a turn of the waiting loop
)

GATE_CLOCKS = 160
"""Two sigmoids and a product: exponential, division, multiplication, rounding."""
EXCHANGES = 7
"""Barriers of one layer, counted in the machine code for capability 9.0: its input and z, as
tensor cores want them, past, conditioning twice, history, and matrices that may be replaced."""
LAYER_ISSUE, OUTPUT_ISSUE = 828, 1_912
"""Clocks to issue a layer's and the output layers' instructions at the full size: 414 and 956
in the machine code for capability 9.0, from two warps on each of four schedulers."""
DRAW_CLOCKS = 1_800
"""Softmax over 256 classes, their running sum, the comparison, the next embedding."""


def weight_bytes(config: WaveNetConfig) -> tuple[int, int]:
    """Of one layer, and of the two output layers together.

    >>> weight_bytes(WaveNetConfig())
    (73728, 262144)
    """
    r, s = config.residual, config.skip
    return HALF * (5 * r * r + r * s), HALF * s * (s + CLASSES)


def own_bytes(config: WaveNetConfig) -> int:
    """What one sample of one stream reads and writes of its own: conditioning and history.

    >>> own_bytes(WaveNetConfig())
    20480
    """
    return SINGLE * config.layers * config.residual * 4


def layer_clocks(config: WaveNetConfig, chip: Chip, hidden: bool) -> float:
    """The dependent steps of one layer: exchanges, gates, and three products' depth.

    hidden: whether they hide the issuing of instructions.
    """
    depth = 3 * ceil(config.residual / 16)
    issue = 0 if hidden else LAYER_ISSUE
    return EXCHANGES * chip.exchange + depth * chip.product + GATE_CLOCKS + issue


def output_clocks(config: WaveNetConfig, chip: Chip, hidden: bool) -> float:
    """Both output layers in turns of 64 columns, and the draw."""
    depth = config.skip // 16 + 64 // 16
    turns = config.skip // 64 * (depth * chip.product + 2 * chip.exchange)
    copied = weight_bytes(config)[1] / chip.l2_to_processor
    issue = 0 if hidden else OUTPUT_ISSUE
    return max(turns + issue, copied) + chip.l2_latency + DRAW_CLOCKS


def wide_s(config: WaveNetConfig, chip: Chip, streams: int, hidden: bool) -> float:
    """Seconds for one sample of all streams."""
    layer, outputs = weight_bytes(config)
    copied = layer / chip.l2_to_processor
    # Nothing is copied while the class before is drawn.
    begin = 2 * chip.l2_latency + copied
    layers = config.layers * max(layer_clocks(config, chip, hidden), copied)
    alone = (begin + layers + output_clocks(config, chip, hidden)) / chip.clock_hz
    programs = ceil(streams / STREAMS)
    rounds, at_once = ceil(programs / chip.processors), min(programs, chip.processors)
    shared = at_once * (config.layers * layer + outputs) / chip.l2
    own = min(streams, at_once * STREAMS) * own_bytes(config) / chip.dram
    return rounds * max(alone, shared, own)


def quick_s(config: WaveNetConfig, chip: Chip, layers_each: int, hidden: bool) -> float:
    """Seconds for one sample of one stream, with so many layers kept by each program.

    Hops: from program to program, to the first and to the second output layer, and back.
    """
    hops = ceil(config.layers / layers_each) - 1 + 3
    layers = config.layers * layer_clocks(config, chip, hidden)
    # Columns of the output layers are spread too: one product's depth each.
    outputs = 2 * (config.skip // 16 * chip.product + 2 * chip.exchange) + DRAW_CLOCKS
    return (layers + outputs) / chip.clock_hz + hops * chip.hop_s


def table(config: WaveNetConfig, chip: Chip, rate: int) -> list[Row]:
    """Predictions of `wide` for the benchmark's widths. rate: samples a second of a stream."""
    rows: list[Row] = []
    for streams in (1, 16, 64, 256, 1024, 2048, 4096):
        best, worst = (wide_s(config, chip, streams, hidden) for hidden in (True, False))
        rows.append(
            {
                "streams": streams,
                "us_per_sample": f"{1e6 * best:.1f} - {1e6 * worst:.1f}",
                "khz_per_stream": f"{1e-3 / worst:.0f} - {1e-3 / best:.0f}",
                "real_time_factor": f"{1 / worst / rate:.2f} - {1 / best / rate:.2f}",
                "ms_per_frame": f"{1e3 * best * config.hop:.1f} - {1e3 * worst * config.hop:.1f}",
                "history_mb": 1e-6 * SINGLE * streams * sum(config.dilations) * config.residual,
            }
        )
    return rows


def main() -> None:
    """Print the predictions."""
    config = WaveNetConfig()
    show(table(config, CHIP, 16_000))
    for layers_each, how in ((3, "in registers"), (5, "in shared memory")):
        best, worst = (1e6 * quick_s(config, CHIP, layers_each, h) for h in (True, False))
        print(f"quick, matrices {how}: {best:.1f} - {worst:.1f} us a sample of one stream")


if __name__ == "__main__":
    main()
