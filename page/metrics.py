"""What `/status` says, as Prometheus and its like read it.

The text format, version 0.0.4: a line for each number, named melstream_NAME, and one before it that
says whether it only grows (a counter, NAME_total) or goes up and down (a gauge).
"""

from __future__ import annotations

from collections.abc import Mapping

TYPE = "text/plain; version=0.0.4; charset=utf-8"
GAUGES = frozenset(
    {"load", "peak_load", "limited_db", "parts", "overload", "spared", "given_up", "rate"}
    | {"block_ms", "lookahead_ms", "vocoder_ms", "output_ms", "latency_ms", "latency_samples"}
)
"""What goes up and down; all other numbers of a status only grow."""


def metrics(status: Mapping[str, int | float | str], version: str) -> str:
    """The text for a status. Texts in it become 1, or 0 while they are empty.

    >>> print(metrics({"load": 0.5, "underruns": 2, "fault": ""}, "0.2"), end="")
    # TYPE melstream_info gauge
    melstream_info{version="0.2"} 1
    # TYPE melstream_load gauge
    melstream_load 0.5
    # TYPE melstream_underruns_total counter
    melstream_underruns_total 2
    # TYPE melstream_fault gauge
    melstream_fault 0
    """
    shown = version.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    lines = ["# TYPE melstream_info gauge", f'melstream_info{{version="{shown}"}} 1']
    for name, value in status.items():
        grows = name not in GAUGES and not isinstance(value, str)
        full = f"melstream_{name}{'_total' * grows}"
        lines.append(f"# TYPE {full} {'counter' if grows else 'gauge'}")
        lines.append(f"{full} {int(bool(value)) if isinstance(value, str) else value}")
    return "\n".join(lines) + "\n"
