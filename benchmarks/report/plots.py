"""Draw the paper's two figures, r by frequency and by instrument, with our values beside its own.

Lines and full bars are ours; markers and hatched bars are the paper's. The flags are those of
`python -m benchmarks fidelity`; what is in its work file is not measured again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.measures import comparison, fidelity, published
from benchmarks.measures.conditions import (
    MAGNITUDES_SPECTRAL,
    MEL_GRIFFIN_LIM,
    MEL_WAVENET,
    MU_LAW,
    NOTES,
    NOTES_SPECTRAL,
    NOTES_WAVENET,
)
from benchmarks.report.picture import save_picture

SUMMARY = "draw the paper's two figures with our values"
COLOURS = {
    MU_LAW: ("#555555",),
    MEL_WAVENET: ("#2a9d3c", "#7fc98b", "#14541f"),
    MEL_GRIFFIN_LIM: ("#e08214",),
    MAGNITUDES_SPECTRAL: ("#7b3fa0",),
    NOTES_SPECTRAL: ("#1f6fb4", "#69b1e6", "#0b3357"),
    NOTES_WAVENET: ("#c22f2f", "#ee8d86", "#641010"),
}
"""By condition, then by bank, in their order; repeated if there are more."""
PAPER = "#000000"
LOSS_MARKERS = {"tanh-log-abs": "o", "log-abs": "^", "abs": "v"}
FidelityRow = Mapping[str, Any]
"""A row of the fidelity table, with its columns' own types."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What is compared, and where the pictures go."""
    fidelity.add_flags(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")


def measure(options: argparse.Namespace) -> Sequence[FidelityRow]:
    """Draw both figures; a row for each picture."""
    table = fidelity.measured(options)
    options.out.mkdir(parents=True, exist_ok=True)
    paths = [options.out / f"fidelity-by-{kind}.png" for kind in ("frequency", "instrument")]
    by_frequency(paths[0], table.means, table.curves)
    by_instrument(paths[1], [*table.rows, *table.means])
    drawn = [path for path in paths if path.exists()]
    return [{"picture": str(p), "kilobytes": round(p.stat().st_size / 1000)} for p in drawn]


def by_frequency(
    path: Path, rows: Sequence[FidelityRow], curves: Sequence[Sequence[float | None]]
) -> None:
    """Draw r over frequency as a PNG.

    rows: of the fidelity table, one for each curve; curves: r of each of 84 bins. If there are
    several lookaheads, only the first and the last are drawn.
    """
    figure = Figure((12, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    drawn = _ends([row["lookahead"] for row in rows if row["condition"].startswith(NOTES)])
    for row, curve in zip(rows, curves, strict=True):
        if row["lookahead"] in ("-", *drawn):
            r = np.array(curve, float)  # None becomes NaN, a gap.
            axes = right if row["condition"].startswith(NOTES) else left
            style = "--" if len(drawn) > 1 and row["lookahead"] == drawn[0] else "-"
            axes.plot(
                comparison.HERTZ,
                r,
                style,
                color=_colour(row, rows),
                linewidth=1.6,
                label=f"{_name(row, rows)} ({_known(row['mean_r']):.2f})",
            )
    _markers(left, "paper: mu-law", published.MU_LAW, "o", COLOURS[MU_LAW][0])
    _markers(left, "paper: true mel, WaveNet", published.TRUE_MEL, "s", COLOURS[MEL_WAVENET][0])
    for loss, marker in LOSS_MARKERS.items():
        _markers(right, f"paper: {loss}, WaveNet", published.BY_LOSS[loss], marker, PAPER)
    left.set_title("Remade from the original's own sound or spectra")
    right.set_title("Played from the score")
    left.set_ylabel("Pearson's r with the original (mean over instruments)")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(published.HERTZ, [str(hertz) for hertz in published.HERTZ])
        axes.minorticks_off()
        axes.set_xlabel("Semitone bin, Hz")
        axes.set_ylim(_lowest(curves), 1.02)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)
    save_picture(figure, path)


def by_instrument(path: Path, rows: Sequence[FidelityRow]) -> None:
    """Draw mean r by instrument as bars, as a PNG: from notes, at the last lookahead.

    rows: of the fidelity table, with those of "all". Without rows from notes nothing is drawn.
    """
    rows = [row for row in rows if row["condition"].startswith(NOTES)]
    if not rows:
        return
    last = _ends([row["lookahead"] for row in rows])[-1]
    rows = [row for row in rows if row["lookahead"] == last]
    names = list(dict.fromkeys(row["instrument"] for row in rows))
    series = list(dict.fromkeys((row["condition"], row["bank"]) for row in rows))
    figure = Figure((12, 5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / (len(series) + 1)
    place = np.arange(len(names))
    theirs = [published.published(NOTES_WAVENET, rows[0]["loss"], name) for name in names]
    bars = axes.bar(
        place - 0.4 + width / 2,
        [_known(r) for r in theirs],
        width,
        color="#dddddd",
        edgecolor="#666666",
        hatch="///",
        label="paper (WaveNet)",
    )
    _label(axes, bars)
    for number, (condition, bank) in enumerate(series, 1):
        own = [row for row in rows if (row["condition"], row["bank"]) == (condition, bank)]
        heights = {row["instrument"]: row["mean_r"] for row in own}
        bars = axes.bar(
            place - 0.4 + (number + 0.5) * width,
            [_known(heights.get(name)) for name in names],
            width,
            color=_colour(own[0], rows),
            label=_name(own[0], rows),
        )
        _label(axes, bars)
    axes.set_xticks(place, [name.replace("-", "\n") for name in names])
    axes.set_ylabel("Pearson's r with the original (mean over bins)")
    axes.set_title("Played from the score, by instrument")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4)
    save_picture(figure, path)


def _markers(axes: Axes, label: str, curve: published.Curve, marker: str, colour: str) -> None:
    axes.plot(
        published.HERTZ,
        curve.at,
        linestyle=":",
        linewidth=0.8,
        color=colour,
        marker=marker,
        markersize=7,
        markerfacecolor="white",
        markeredgewidth=1.5,
        label=f"{label} ({curve.mean:.2f})",
        zorder=5,
    )


def _label(axes: Axes, bars: Any) -> None:
    """Write its height over each bar, without the leading zero."""
    texts = [f"{bar.get_height():.2f}".replace("0.", ".") for bar in bars]
    axes.bar_label(bars, ["" if "nan" in text else text for text in texts], fontsize=7, padding=2)


def _ends(lookaheads: list[Any]) -> list[Any]:
    """The first and the last, or one if they are the same."""
    return list(dict.fromkeys([lookaheads[0], lookaheads[-1]])) if lookaheads else []


def _banks(condition: str, rows: Sequence[FidelityRow]) -> list[str]:
    return list(dict.fromkeys(row["bank"] for row in rows if row["condition"] == condition))


def _colour(row: FidelityRow, rows: Sequence[FidelityRow]) -> str:
    shades = COLOURS[row["condition"]]
    return shades[_banks(row["condition"], rows).index(row["bank"]) % len(shades)]


def _name(row: FidelityRow, rows: Sequence[FidelityRow]) -> str:
    """What a line or bar is called; with its bank only if there are several."""
    name = row["condition"].replace(NOTES, "notes -> ")
    if len({r["bank"] for r in rows} - {"-"}) > 1 and row["bank"] != "-":
        name += f", {row['bank']}"
    return name if row["lookahead"] == "-" else f"{name}, lookahead {row['lookahead']}"


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _lowest(curves: Sequence[Sequence[float | None]]) -> float:
    """Where the axis begins: at 0, or lower if r is negative."""
    return min(0.0, min(x for curve in curves for x in curve if x is not None)) - 0.02
