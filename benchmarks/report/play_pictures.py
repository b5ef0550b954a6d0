"""What `play` heard, to look at: held notes, loudness between patches, spectrograms, bass."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.measures.play import bass, held, morph
from benchmarks.measures.play.findings import key_name
from benchmarks.measures.play.morph import AMOUNTS, Line
from benchmarks.measures.play.scores import BASS_KEYS, HELD_S
from benchmarks.measures.play.sounds import Sounds
from benchmarks.measures.play.stage import Pair
from benchmarks.report.picture import save_picture
from synth.mel import Analysis, magnitudes

OURS, ORIGINAL = "#c22f2f", "#555555"
KEY_COLOURS = ("#1f6fb4", "#c22f2f", "#2a9d3c")
SHOWN = ("string-ensemble", "church-organ", "trumpet", "grand-piano")
"""Whose spectrograms are drawn, where a bank has them: what moves most, and what decays."""
SHOWN_KEY = 48
SHOWN_S = 6.0
HELD_HZ, PHRASE_HZ = 4_000, 16_000
FLOOR_DB, TOP_DB = -90.0, -20.0
FRAME_S, WINDOW_S = 0.008, 0.064
NAMED = 6
"""So many of the lines that are furthest off are told by name."""
OFF_DB = 18.0
"""Where the colours of bass partials end."""


def draw(
    folder: Path,
    bank: str,
    heard: Mapping[str, Sounds],
    lines: Sequence[Line],
    sections: Collection[str],
) -> None:
    """Draw a PNG in folder for each of the sections that were played, named after the bank.

    heard: patch -> its sounds; lines: of the morph section, if it was played.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if "held" in sections:
        _envelopes(folder / f"play-held-{bank}.png", heard)
    if lines:
        _morphs(folder / f"play-morphs-{bank}.png", lines)
    if {"movement", "texture"} & set(sections):
        _spectrograms(folder / f"play-spectrograms-{bank}.png", heard)
    if "bass" in sections:
        _partials(folder / f"play-bass-{bank}.png", heard)


def _envelopes(path: Path, heard: Mapping[str, Sounds]) -> None:
    figure, sheet = _sheet(heard, (3.0, 2.3))
    for axes, (name, sounds) in zip(sheet, heard.items(), strict=False):
        for colour, pair in zip(KEY_COLOURS, sounds.held.values(), strict=False):
            for audio, style in ((pair.original, ":"), (pair.ours, "-")):
                reference = held.level_at(audio, pair.rate, held.REFERENCE_S, held.NEAR_S)
                level = held.envelope_db(audio, pair.rate) - reference
                seconds = (np.arange(len(level)) + 0.5) * held.LOUDEST_S
                axes.plot(seconds, level, style, color=colour, linewidth=1.3)
        axes.axvline(HELD_S, color="black", linewidth=0.7, alpha=0.5)
        axes.set_title(name, fontsize=10)
        axes.set_ylim(-66, 12)
        axes.set_xlim(0, HELD_S + 2.5)
        axes.set_xticks(range(0, 15, 3))
        axes.grid(alpha=0.3)
    keys = next(iter(heard.values())).held
    legend = [
        Line2D([], [], color=colour, label=f"{key_name(key)}, ours")
        for colour, key in zip(KEY_COLOURS, keys, strict=False)
    ]
    legend.append(Line2D([], [], color=ORIGINAL, linestyle=":", label="FluidSynth"))
    figure.legend(handles=legend, loc="outside lower center", ncols=4, fontsize=9)
    figure.suptitle(
        "Keys held for 12 s: level of each 100 ms, dB relative to that at 0.5 s, over seconds"
    )
    save_picture(figure, path)


def _morphs(path: Path, lines: Sequence[Line]) -> None:
    figure = Figure((11, 5.6), layout="constrained")
    axes = figure.subplots()
    order = sorted(lines, key=lambda line: float(line.off_db.max()), reverse=True)
    named = [line for line in order[:NAMED] if line.off_db.max() > morph.WITHIN_DB]
    for line in order:
        straight = np.interp(AMOUNTS, [0, 1], line.loudness[[0, -1]])
        number = next((i for i, other in enumerate(named) if other is line), None)
        good = line.off_db.max() <= morph.WITHIN_DB
        axes.plot(
            AMOUNTS,
            line.loudness - straight,
            "-o",
            markersize=3.5,
            linewidth=1.0 if number is None else 2.0,
            color=("#9ac7a2" if good else "#c9a0a0") if number is None else f"C{number}",
            label=None if number is None else f"{line.name} ({line.off_db.max():.0f} dB off)",
            zorder=2 if number is None else 3,
        )
    axes.axhspan(-morph.WITHIN_DB, morph.WITHIN_DB, color="#2a9d3c", alpha=0.12, zorder=1)
    bad = sum(bool(line.off_db.max() > morph.WITHIN_DB) for line in lines)
    axes.set_title(
        f"Loudness between two patches, less the straight line between its ends\n"
        f"{bad} of {len(lines)} lines leave their ends' loudness by more than "
        f"{morph.WITHIN_DB:g} dB (red)",
        fontsize=11,
    )
    axes.set_xticks(AMOUNTS)
    axes.set_xlabel("Way from the first patch to the second")
    axes.set_ylabel("dB")
    axes.grid(alpha=0.3)
    if named:
        figure.legend(fontsize=8, loc="outside right upper")
    save_picture(figure, path)


def _spectrograms(path: Path, heard: Mapping[str, Sounds]) -> None:
    names = [name for name in SHOWN if name in heard] or list(heard)[: len(SHOWN)]
    figure = Figure((11, 0.7 + 2.0 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), 4, squeeze=False)
    key = SHOWN_KEY if SHOWN_KEY in heard[names[0]].held else next(iter(heard[names[0]].held))
    for row, name in zip(grid, names, strict=True):
        note, phrase = heard[name].held[key], heard[name].phrase
        for axes, pair, top in ((row[:2], note, HELD_HZ), (row[2:], phrase, PHRASE_HZ)):
            _pair(axes, pair, top)
        row[0].set_ylabel(f"{name}\nkHz", fontsize=10)
    titles = (f"{key_name(key)} held: FluidSynth", "ours", "phrase: FluidSynth", "ours")
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=11)
    for axes in grid[-1]:
        axes.set_xlabel("s")
    save_picture(figure, path, colours=32)


def _pair(axes: Sequence[Axes], pair: Pair, top_hz: float) -> None:
    """Spectrograms of the original and of ours, in that order."""
    hop, half = round(FRAME_S * pair.rate), round(WINDOW_S * pair.rate / 2)
    analysis = Analysis(pair.rate, hop, 2 * half)
    for one, audio in zip(axes, (pair.original, pair.ours), strict=True):
        cut = np.ascontiguousarray(audio[: round(SHOWN_S * pair.rate)])
        top = min(top_hz, pair.rate / 2)
        bins = round(top * analysis.window / pair.rate)
        levels = 20 * magnitudes(torch.from_numpy(cut), analysis)[:, :bins].clamp(min=1e-6).log10()
        one.imshow(
            levels.numpy().T,
            origin="lower",
            aspect="auto",
            extent=(0, SHOWN_S, 0, top / 1000),
            vmin=FLOOR_DB,
            vmax=TOP_DB,
            cmap="magma",
        )


def _partials(path: Path, heard: Mapping[str, Sounds]) -> None:
    figure, sheet = _sheet(heard, (3.0, 2.2))
    image = None
    for axes, (name, sounds) in zip(sheet, heard.items(), strict=False):
        off = np.full((len(BASS_KEYS), len(bass.PARTIALS)), np.nan)
        for row, key in enumerate(BASS_KEYS):
            ours, original = bass.levels(sounds.bass[key], key)
            off[row] = np.where(original > bass.HEARD_DB, ours - original, np.nan)
        image = axes.imshow(off, cmap="coolwarm", vmin=-OFF_DB, vmax=OFF_DB, aspect="auto")
        for (row, column), value in np.ndenumerate(off):
            if np.isfinite(value):
                bad = abs(value) > bass.WITHIN_DB
                axes.text(
                    column,
                    row,
                    f"{value:.0f}".replace("-0", "0"),
                    ha="center",
                    va="center",
                    fontsize=7,
                    weight="bold" if bad else "normal",
                    color="white" if abs(value) > 0.75 * OFF_DB else "black",
                )
        axes.set_facecolor("#dddddd")
        axes.set_title(name, fontsize=10)
        axes.set_xticks(bass.PARTIALS - 1, [str(partial) for partial in bass.PARTIALS])
        axes.set_yticks(range(len(BASS_KEYS)), [key_name(key) for key in BASS_KEYS])
        axes.tick_params(labelsize=8, length=0)
    figure.suptitle(
        "Partials 1-8 of low keys: ours less FluidSynth's, dB, each relative to its note's "
        "loudest partial\n(grey: below -30 dB in FluidSynth's)",
        fontsize=11,
    )
    figure.supxlabel("Partial", fontsize=10)
    if image is not None:
        figure.colorbar(image, ax=figure.axes, shrink=0.6, label="dB", extend="both")
    save_picture(figure, path, colours=96)


def _sheet(heard: Mapping[str, Sounds], size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure with a small frame of a size (inches) for each patch."""
    columns = min(len(heard), 5)
    rows = -(-len(heard) // columns)
    figure = Figure((max(size[0] * columns, 6.5), size[1] * rows + 1), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    sheet = list(grid.flat)
    for axes in sheet[len(heard) :]:
        axes.set_visible(False)
    return figure, sheet
