"""A program that takes a share of a core at the renderer's own priority.

    python -m benchmarks.rigs.hog SHARE SECONDS

It computes for that share of every 10 ms, and sleeps for the rest.
"""

from __future__ import annotations

import sys
import time

from common.threads import RENDERER, go_before_others

PERIOD_S = 0.01


def main() -> None:
    share, seconds = float(sys.argv[1]), float(sys.argv[2])
    go_before_others(RENDERER)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        while time.monotonic() < start + share * PERIOD_S:
            pass
        time.sleep((1 - share) * PERIOD_S)


if __name__ == "__main__":
    main()
