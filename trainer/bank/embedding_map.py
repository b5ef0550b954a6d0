"""Where a bank's patches lie: places on a map for spaces of many coordinates, and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.files import whole_file

LEAST_PLACED = 5
"""Patches that a map of more than two coordinates needs at least."""
NEIGHBOURS = 12
"""Of each patch, about as many as are kept beside it; found by trial with a hundred."""


def place_patches(names: list[str], points: np.ndarray) -> dict[str, list[float]]:
    """Places x, y in 0..1 for points (patches, size) of more than two coordinates, such that
    patches that are neighbours stay neighbours (t-SNE; van der Maaten and Hinton, 2008).

    Empty for two coordinates or less, which are their own map, for a handful of patches, for
    points that are all the same, and without scikit-learn.
    """
    if points.shape[1] <= 2 or len(names) < LEAST_PLACED or not np.ptp(points, axis=0).any():
        return {}
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        return {}
    near = min(NEIGHBOURS, (len(names) - 1) / 3)
    flat = TSNE(2, perplexity=near, init="pca", random_state=0).fit_transform(points)
    low, high = flat.min(0), flat.max(0)
    shares = (flat - low) / np.maximum(high - low, 1e-9)
    return {
        name: [round(float(x), 3) for x in place] for name, place in zip(names, shares, strict=True)
    }


def draw_map(
    path: Path, names: list[str], points: np.ndarray, places: dict[str, list[float]]
) -> bool:
    """Write a .png of points (patches, size), by name; False if there is no matplotlib.

    They are drawn at their places, if there are any. Otherwise more than two dimensions are turned
    so that the two in which the patches differ most are seen, and the title says how much of their
    variance that is.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    if places:
        flat, seen = np.array([places[name] for name in names]), ", neighbours side by side"
    else:
        flat, share = flatten(points)
        seen = "" if share > 0.999 else f", {100 * share:.0f}% of their variance"
    small = len(names) > 30
    figure = Figure(figsize=(6, 6), layout="constrained")
    plot = figure.subplots()
    plot.scatter(flat[:, 0], flat[:, 1], s=12 if small else 30)
    for name, place in zip(names, flat, strict=True):
        plot.annotate(name, place, (4, 3), textcoords="offset points", fontsize=5 if small else 8)
    plot.set_title(f"{len(names)} patches in {points.shape[1]} dimensions{seen}")
    plot.margins(0.15)
    plot.grid(alpha=0.3)
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=80)
    return True


def flatten(points: np.ndarray) -> tuple[np.ndarray, float]:
    """points (n, size) in two dimensions (n, 2), and the share of their variance that is kept.

    >>> flatten(np.array([[1.0, 2.0], [3.0, 4.0]]))[1]
    1.0
    """
    count, size = points.shape
    if size <= 2:
        return np.pad(points, ((0, 0), (0, 2 - size))), 1.0
    away = points - points.mean(axis=0)
    _, lengths, directions = np.linalg.svd(away, full_matrices=False)
    energy = lengths**2
    turned = away @ directions[:2].T
    kept = float(energy[:2].sum() / max(energy.sum(), 1e-20))
    return np.pad(turned, ((0, 0), (0, 2 - turned.shape[1]))), kept
