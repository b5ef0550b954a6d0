"""Everything there is to check and to measure on a GPU, as one command of some five minutes.

    python -m benchmarks.gpu_run OUT

OUT gets a log of each step and the benchmarks' rows as JSON. A step that fails does not keep
the others from running. Beside PyTorch, numba and pytest it needs mido and soxr.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch

WIDTHS = [str(2**k) for k in range(12)]
STEPS: dict[str, list[str]] = {
    "tests": ["pytest", "-m", "gpu", "tests/synth/vocoders/wavenet/samplers/test_gpu.py"],
    "sampler": ["benchmarks", "sampler", "--stages", "sampler", "--sampler", "triton"]
    + ["--streams", *WIDTHS, "--block-frames", "1", "4", "16"],
    "plain": ["benchmarks", "sampler", "--stages", "sampler", "--streams", "1", "16", "256"]
    + ["--sampler", "triton", "torch-gpu", "torch-graph"],
    "vocoder": ["benchmarks", "sampler", "--stages", "vocoder", "mel2mel", "--sampler", "triton"]
    + ["--streams", "1", "16", "256", "1024", "--block-frames", "1", "4"],
    "soak": ["benchmarks", "soak", "--vocoder", "wavenet", "--parts", "16", "--density", "60"]
    + ["--minutes", "0.5"],
    "model": ["benchmarks.measures.gpu_model"],
    "without": ["pytest", "tests/synth/vocoders/wavenet/samplers/test_triton.py"],
}
"""Name -> what `python -m` runs; first what matters most, should the machine be taken away."""
LIMIT_S = 240
"""Of one step."""


def main(arguments: list[str]) -> int:
    """Run all steps; 0 if all went well, 1 if one failed, 2 without a GPU or a folder."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print("gpu_run: needs an NVIDIA GPU; PyTorch finds none here", file=sys.stderr)
        return 2
    out = Path(arguments[0])
    out.mkdir(parents=True, exist_ok=True)
    failed = [name for name in STEPS if not _run(name, out)]
    print(f"failed: {', '.join(failed)}" if failed else "all went well")
    return 1 if failed else 0


def command(name: str, out: Path) -> list[str]:
    """What a step runs, with its rows written to OUT."""
    step = [sys.executable, "-m", *STEPS[name]]
    return [*step, "--json", str(out / f"{name}.json")] if STEPS[name][0] == "benchmarks" else step


def _run(name: str, out: Path) -> bool:
    """Run a step into its log, print the log's end, and say whether it went well."""
    print(f"--- {name}", flush=True)
    log, began = out / f"{name}.log", time.monotonic()
    with log.open("w") as file:
        try:
            ended = subprocess.run(
                command(name, out), stdout=file, stderr=subprocess.STDOUT, timeout=LIMIT_S
            ).returncode
        except subprocess.TimeoutExpired:
            ended = f"more than {LIMIT_S} s"
    print("\n".join(log.read_text(errors="replace").splitlines()[-40:]))
    print(f"--- {name}: {ended} after {time.monotonic() - began:.0f} s", flush=True)
    return ended == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
