"""How a picture is saved: it lies beside the results and in the report, so it must be small."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

DOTS = 110
"""Pixels per inch."""


def save_picture(figure: Figure, path: Path, colours: int = 48) -> None:
    """Write a PNG with a palette of so many colours (2..256), which is a third of the size.

    The default keeps the edges of a dozen lines smooth; a map with many shades needs more.
    """
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS)
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
