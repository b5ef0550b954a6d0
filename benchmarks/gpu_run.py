"""All checks and measurements on a GPU, as one command of about five minutes.

    python -m benchmarks.gpu_run OUT

OUT gets a log of each step and the benchmarks' rows as JSON. When a step fails the others still
run. The machine needs this program's dependencies and pytest.
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
"""Name -> what `python -m` runs; the most important first, in case the machine is taken away."""
LIMIT_S = 240
"""For one step."""


def main(arguments: list[str]) -> int:
    """Run all steps; 0 if all passed, 1 if one failed, 2 without a GPU or a folder."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print("gpu_run: needs an NVIDIA GPU; PyTorch finds none here", file=sys.stderr)
        return 2
    out = Path(arguments[0])
    out.mkdir(parents=True, exist_ok=True)
    failed = [name for name in STEPS if not _run(name, out)]
    print(f"failed: {', '.join(failed)}" if failed else "all steps passed")
    return 1 if failed else 0


def command(name: str, out: Path) -> list[str]:
    """What a step runs, with its rows written to OUT."""
    step = [sys.executable, "-m", *STEPS[name]]
    return [*step, "--json", str(out / f"{name}.json")] if STEPS[name][0] == "benchmarks" else step


def _run(name: str, out: Path) -> bool:
    """Run a step, write its log, print the log's end, and return whether it passed."""
    print(f"--- {name}", flush=True)
    log, began = out / f"{name}.log", time.monotonic()
    with log.open("w") as file:
        try:
            ended = subprocess.run(
                command(name, out), stdout=file, stderr=subprocess.STDOUT, timeout=LIMIT_S
            )
            passed, how = not ended.returncode, f"exit code {ended.returncode}"
        except subprocess.TimeoutExpired:
            passed, how = False, f"stopped at the limit of {LIMIT_S} s"
    print("\n".join(log.read_text(errors="replace").splitlines()[-40:]))
    print(f"--- {name}: {how} after {time.monotonic() - began:.0f} s", flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
