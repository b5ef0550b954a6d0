"""The commands of `python -m benchmarks`, and what each says of itself."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
MODULES = {
    "play": "measures.play.command",
    "fidelity": "measures.fidelity",
    "transcription": "measures.transcription",
    "tuning": "measures.tuning",
    "latency": "measures.latency",
    "sampler": "measures.sampler",
    "divergence": "measures.divergence",
    "ladder": "measures.ladder",
    "soak": "measures.soak",
    "batch": "measures.batch.command",
    "embedding": "measures.embedding",
    "knobs": "measures.knobs",
    "fuzz": "measures.fuzz",
    "fit": "measures.fit",
    "overload": "measures.overload",
    "fidelity-plots": "report.plots",
    "embedding-map": "report.embedding_map",
    "report": "report.report",
}
"""Command -> a module with SUMMARY, add_flags(parser) and measure(options) -> rows.

Those of measures/ have their sections in the report in this order.
"""


def about(name: str) -> tuple[str, str]:
    """A command's SUMMARY and its module's docstring; empty if there is no such command.

    They are read without importing the module: its libraries need not be installed.

    >>> about("tuning")[0]
    'is every patch in tune, and does it stop?'
    """
    if name not in MODULES:
        return "", ""
    path = HERE.joinpath(*MODULES[name].split(".")).with_suffix(".py")
    module = ast.parse(path.read_text(encoding="utf-8"))
    summary = ""
    for line in module.body:
        match line:
            case ast.Assign([ast.Name("SUMMARY")], ast.Constant(str(text))):
                summary = text
    return summary, ast.get_docstring(module) or ""
