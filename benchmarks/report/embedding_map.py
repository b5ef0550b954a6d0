"""A map of the embedding space: brightness and loudness at every point, in one picture.

It has two panels, as in the paper: colour is the spectral centroid or the mean energy of what
Mel2Mel plays there (see `python -m benchmarks embedding`), with labelled contours. Patches have
their names; an arrow is the whole range of a knob. A space of more than two coordinates is cut
along the two main principal components of its patches, through their mean.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from benchmarks.flags import add_bank_flag, whole
from benchmarks.measures.embedding import VELOCITY, embedding, hear
from benchmarks.report.picture import save_picture
from benchmarks.rows import Row
from synth.bank.bank import Bank, load_bank

SUMMARY = "draw a map of brightness and loudness between the instruments"
MARGIN = 0.18
"""Drawn around the patches, as a share of their spread."""
COLOURS = 48
PALETTE = 160
INK, PAPER = "#11151c", "white"
KNOB = "#5df2d6"
HALO = [withStroke(linewidth=2.4, foreground=INK)]
SIDES = (
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
    (0, 6, "center", "bottom"),
    (0, -6, "center", "top"),
    (5, 5, "left", "bottom"),
    (-5, 5, "right", "bottom"),
    (5, -5, "left", "top"),
    (-5, -5, "right", "top"),
)
"""Where a label may stand, best first: its offset in points, and its alignment there."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Two directions of the embedding space. origin (size,), axes (2, size), orthonormal."""

    origin: np.ndarray
    axes: np.ndarray
    labels: tuple[str, str]

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (n, size) as they fall on the plane: (n, 2)."""
        return (points - self.origin) @ self.axes.T

    def lift(self, flat: np.ndarray) -> np.ndarray:
        """Points of the plane (n, 2) as points of the space: (n, size)."""
        return self.origin + flat @ self.axes


@dataclass(frozen=True, slots=True)
class Shading:
    """What is drawn as colour. values (grid, grid); scale: from values to colours, a palette's
    name."""

    title: str
    unit: str
    values: np.ndarray
    scale: Normalize
    colours: str


def plane_of(places: np.ndarray) -> Plane:
    """The first two coordinates if places (n, size) have only these, else their main plane.

    Raises ValueError for a space with a single coordinate.
    """
    size = places.shape[1]
    if size < 2:
        raise ValueError("this bank's embedding has one coordinate; a map needs two")
    if not places[:, 2:].any():
        return Plane(np.zeros(size), np.eye(2, size), ("timbre 0", "timbre 1"))
    origin = places.mean(0)
    _, spread, axes = np.linalg.svd(places - origin)
    spread = np.pad(spread, (0, max(2 - len(spread), 0)))
    shares = spread[:2] ** 2 / max((spread**2).sum(), 1e-12)
    first, second = (
        f"principal component {i + 1} of {size} ({share:.0%} of the patches' spread)"
        for i, share in enumerate(shares)
    )
    return Plane(origin, axes[:2], (first, second))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which bank, how fine a map, and where it goes."""
    add_bank_flag(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for embedding.png")
    parser.add_argument("--grid", type=whole(2), default=49, help="points along each side")


def measure(options: argparse.Namespace) -> list[Row]:
    """Draw the map; a row for the picture."""
    path = draw_map(options.out, load_bank(options.bank), options.grid)
    return [{"picture": str(path), "kilobytes": round(path.stat().st_size / 1000)}]


def draw_map(folder: Path, bank: Bank, grid: int) -> Path:
    """Draw embedding.png, of grid x grid points, in folder and return its path.

    Raises ValueError for a space with a single coordinate.
    """
    places = np.array([embedding(bank, name) for name in bank.names])
    mel2mel = bank.mel2mel()
    plane = plane_of(places)
    flat = plane.place(places)
    low, high = flat.min(0), flat.max(0)
    # Patches on one line, or in one point, get room all the same.
    room = np.maximum(MARGIN * (high - low), MARGIN * max((high - low).max(), 0.1))
    sides = np.linspace(low - room, high + room, grid).T
    x, y = np.meshgrid(*sides)
    points = plane.lift(np.stack([x.ravel(), y.ravel()], 1))
    centroid, energy = (v.reshape(x.shape) for v in hear(mel2mel, points, "map"))
    shape = (sides[1][-1] - sides[1][0]) / (sides[0][-1] - sides[0][0])
    height = min(max(5.2 * shape, 3.5), 9.0) + 1.0
    figure = Figure((13.5, height), layout="compressed")
    panels = figure.subplots(1, 2)
    octaves = LogNorm(centroid.min(), max(centroid.max(), 1.001 * centroid.min()))
    for panel, shading in zip(
        panels,
        (
            Shading("Spectral centroid", "Hz", centroid, octaves, "viridis"),
            Shading("Mean energy", "dB", energy, _most(energy), "magma"),
        ),
        strict=True,
    ):
        _paint(figure, panel, sides, shading)
        panel.set(xlabel=plane.labels[0], ylabel=plane.labels[1], aspect="equal")
        panel.spines[:].set_visible(False)
    figure.suptitle(
        f"{bank.path.resolve().name}: what Mel2Mel plays between the patches "
        f"(middle C, then a C major chord, velocity {VELOCITY})",
        fontsize=11,
    )
    # Labels keep clear of each other in pixels: the layout must stand.
    figure.draw_without_rendering()
    for panel in panels:
        _mark(panel, bank, plane, flat)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "embedding.png"
    save_picture(figure, path, PALETTE)
    return path


def _most(values: np.ndarray) -> Normalize:
    """A scale without the outermost hundredths, so that one dark corner does not grey the rest."""
    low, high = np.percentile(values, (1, 99))
    return Normalize(low, max(high, low + 0.1))


def _paint(figure: Figure, panel: Axes, sides: np.ndarray, shading: Shading) -> None:
    """A shading as colours with contours. sides: the grid's coordinates, (2, grid)."""
    low, high = shading.scale.vmin, shading.scale.vmax
    assert low is not None and high is not None
    if isinstance(shading.scale, LogNorm):
        levels = np.geomspace(low, high, COLOURS)
        lines = np.array([n * 10**e for e in range(1, 5) for n in (1, 1.4, 2, 2.8, 4, 5.6, 8)])
    else:
        levels = np.linspace(low, high, COLOURS)
        lines = np.array(MaxNLocator(8).tick_values(low, high))
    lines = lines[(lines > low) & (lines < high)]
    painted = panel.contourf(
        *sides, shading.values, levels, norm=shading.scale, cmap=shading.colours, extend="both"
    )
    if len(lines):
        drawn = panel.contour(
            *sides,
            shading.values,
            lines,
            colors=PAPER,
            linewidths=0.6,
            linestyles="solid",
            alpha=0.5,
        )
        panel.clabel(drawn, fontsize=7, fmt=lambda v: f"{v:g}")
    bar = figure.colorbar(painted, ax=panel, pad=0.015, extendfrac=0, ticks=lines)
    bar.ax.yaxis.set_major_formatter(lambda v, _: f"{v:g} {shading.unit}")
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    panel.set_title(f"{shading.title} ({shading.unit})", fontsize=12, fontweight="bold", loc="left")


def _mark(panel: Axes, bank: Bank, plane: Plane, flat: np.ndarray) -> None:
    """The patches, and the whole range of every knob as an arrow through their middle."""
    panel.scatter(flat[:, 0], flat[:, 1], s=36, color=PAPER, edgecolor=INK, linewidth=1.2, zorder=5)
    taken = [Bbox.from_extents(*(p - 5), *(p + 5)) for p in panel.transData.transform(flat)]
    tips = {}
    for name, direction in bank.knobs.items():
        travel = plane.axes @ np.array(direction)
        if not np.abs(travel).max() > 1e-6:
            continue  # It leaves the embedding alone, such as a tilt of the spectrum.
        start, end = flat.mean(0) - travel / 2, flat.mean(0) + travel / 2
        arrow = {"arrowstyle": "-|>", "color": KNOB, "lw": 2.2, "path_effects": HALO}
        panel.annotate("", tuple(end), tuple(start), arrowprops=arrow, zorder=4)
        tips[name] = end
        for point in panel.transData.transform(np.linspace(start, end, 30)):
            taken.append(Bbox.from_extents(*(point - 3), *(point + 3)))
    for name, tip in tips.items():
        _label(panel, name, tip, taken, {"color": KNOB, "fontstyle": "italic"})
    for name, point in zip(bank.names, flat, strict=True):
        _label(panel, name, point, taken, {"color": PAPER})


def _label(
    panel: Axes, text: str, point: np.ndarray, taken: list[Bbox], style: dict[str, Any]
) -> None:
    """Write text beside point, on the side where it covers least; taken grows by its box."""
    tried: list[tuple[float, Annotation, Bbox]] = []
    for dx, dy, ha, va in SIDES:
        written = panel.annotate(
            text,
            tuple(point),
            xytext=(dx, dy),
            textcoords="offset points",
            ha=ha,
            va=va,
            fontsize=9,
            path_effects=HALO,
            zorder=6,
            **style,
        )
        box = written.get_window_extent()
        inside = Bbox.intersection(box, panel.bbox)
        lost = box.width * box.height - (inside.width * inside.height if inside else 0)
        overlaps = [Bbox.intersection(box, other) for other in taken]
        covered = lost + sum(o.width * o.height for o in overlaps if o)
        tried.append((covered, written, box))
    _, best, box = min(tried, key=lambda place: place[0])
    for _, written, _ in tried:
        if written is not best:
            written.remove()
    taken.append(box)
