"""The map of the embedding space: two panels in one picture, as in the paper.

Colour is what Mel2Mel plays there, with labelled contours; the patches are named, and an
arrow is the whole travel of a knob.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from benchmarks.measures.embedding import VELOCITY, hear
from benchmarks.report.picture import save_picture
from synth.bank.bank import Bank
from synth.mel2mel.network import Mel2Mel

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
"""Where a label may stand, best first: its offset in points, and how it is aligned there."""


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


def plane_of(places: np.ndarray) -> Plane:
    """The first two coordinates if places (n, size) differ in no other, else their main plane.

    Raises ValueError for a space with a single coordinate.
    """
    size = places.shape[1]
    if size < 2:
        raise ValueError("--plots: this bank's embedding has one coordinate; a map needs two")
    if not places[:, 2:].any():
        return Plane(np.zeros(size), np.eye(2, size), ("timbre 0", "timbre 1"))
    origin = places.mean(0)
    _, spread, axes = np.linalg.svd(places - origin)
    spread = np.pad(spread, (0, max(2 - len(spread), 0)))
    shares = spread[:2] ** 2 / max((spread**2).sum(), 1e-12)
    labels = tuple(
        f"principal component {i + 1} of {size} ({share:.0%} of the patches' spread)"
        for i, share in enumerate(shares)
    )
    return Plane(origin, axes[:2], labels)


def draw_map(folder: Path, bank: Bank, mel2mel: Mel2Mel, places: np.ndarray, grid: int) -> Path:
    """Draw embedding.png, of grid x grid points, in folder and return its path.

    places (patches, size) in the order of the bank's names. Raises ValueError for a grid
    below 2 and for what `plane_of` refuses.
    """
    if grid < 2:
        raise ValueError(f"--grid {grid}: must be at least 2")
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
    figure, panels = plt.subplots(1, 2, figsize=(13.5, height), layout="compressed")
    octaves = LogNorm(centroid.min(), max(centroid.max(), 1.001 * centroid.min()))
    for panel, values, title, unit, norm, colours in (
        (panels[0], centroid, "Spectral centroid", "Hz", octaves, "viridis"),
        (panels[1], energy, "Mean energy", "dB", _most(energy), "magma"),
    ):
        _paint(figure, panel, sides, values, norm, colours, unit)
        panel.set_title(f"{title} ({unit})", fontsize=12, fontweight="bold", loc="left")
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
    plt.close(figure)
    return path


def _most(values: np.ndarray) -> Normalize:
    """A scale without the outermost hundredths: one dark corner must not grey all the rest."""
    low, high = np.percentile(values, (1, 99))
    return Normalize(low, max(high, low + 0.1))


def _paint(
    figure: Figure,
    panel: Axes,
    sides: np.ndarray,
    values: np.ndarray,
    norm: Normalize,
    colours: str,
    unit: str,
) -> None:
    if isinstance(norm, LogNorm):
        levels = np.geomspace(norm.vmin, norm.vmax, COLOURS)
        lines = np.array([n * 10**e for e in range(1, 5) for n in (1, 1.4, 2, 2.8, 4, 5.6, 8)])
    else:
        levels = np.linspace(norm.vmin, norm.vmax, COLOURS)
        lines = MaxNLocator(8).tick_values(norm.vmin, norm.vmax)
    lines = lines[(lines > norm.vmin) & (lines < norm.vmax)]
    painted = panel.contourf(*sides, values, levels, norm=norm, cmap=colours, extend="both")
    if len(lines):
        style = {"colors": PAPER, "linewidths": 0.6, "linestyles": "solid", "alpha": 0.5}
        drawn = panel.contour(*sides, values, lines, **style)
        panel.clabel(drawn, fontsize=7, fmt=lambda v: f"{v:g}")
    bar = figure.colorbar(painted, ax=panel, pad=0.015, extendfrac=0, ticks=lines)
    bar.ax.yaxis.set_major_formatter(lambda v, _: f"{v:g} {unit}")
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)


def _mark(panel: Axes, bank: Bank, plane: Plane, flat: np.ndarray) -> None:
    """The patches, and the whole travel of every knob as an arrow through their middle."""
    panel.scatter(*flat.T, s=36, color=PAPER, edgecolor=INK, linewidth=1.2, zorder=5)
    taken = [Bbox.from_extents(*(p - 5), *(p + 5)) for p in panel.transData.transform(flat)]
    tips = []
    for direction in bank.knobs.values():
        travel = plane.axes @ np.array(direction)
        ends = flat.mean(0) + np.outer((-0.5, 0.5), travel)
        arrow = {"arrowstyle": "-|>", "color": KNOB, "lw": 2.2, "path_effects": HALO}
        panel.annotate("", ends[1], ends[0], arrowprops=arrow, zorder=4)
        tips.append(ends[1])
        for point in panel.transData.transform(np.linspace(*ends, 30)):
            taken.append(Bbox.from_extents(*(point - 3), *(point + 3)))
    for name, tip in zip(bank.knobs, tips, strict=True):
        _label(panel, name, tip, taken, color=KNOB, fontstyle="italic")
    for name, point in zip(bank.names, flat, strict=True):
        _label(panel, name, point, taken, color=PAPER)


def _label(panel: Axes, text: str, point: np.ndarray, taken: list[Bbox], **style: str) -> None:
    """Write text beside point, on the side where it covers least; taken grows by its box."""
    best = None
    for dx, dy, ha, va in SIDES:
        written = panel.annotate(
            text,
            point,
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
        if best is None or covered < best[0]:
            if best:
                best[1].remove()
            best = covered, written, box
        else:
            written.remove()
    taken.append(best[2])
