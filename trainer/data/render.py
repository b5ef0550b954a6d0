"""Scores -> sound: renders excerpts of pieces and etudes with every instrument of a bank.

A data set is a folder: one file for each excerpt (`storage` says what is in it) under train/,
val/ and test/, pieces.csv where the corpus had no manifest, and manifest.yaml, which says what
it was made of. Each file is written whole and then renamed, so an interrupted run goes on where
it stopped. What is rendered follows from the recipe alone, however many workers there are.
"""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from common.fields import check_mapping, number
from trainer.data import corpus
from trainer.data.corpus import SPLITS, Piece
from trainer.data.fluidsynth import FluidSynth
from trainer.data.manifest import read_manifest
from trainer.data.plan import KEYS_ALONE, Recipe, plan_excerpts
from trainer.data.storage import write_whole
from trainer.data.worker import loudest_sample, render_excerpt, worker_pool

__all__ = ["Recipe", "render"]

Surveyed = tuple[dict[str, list[tuple[str, float]]], str, bytes]
"""A corpus: split -> (path, seconds) of each piece, its digest, and pieces.csv or nothing."""

PEAK = 0.9
"""Loudest sample of a program's calibration pieces after its fixed gain."""
CALIBRATION_PIECES = 6
GAIN_DB = (-60.0, 60.0)
SKIPPED_TOLD = 10
"""Broken files told of by a line each; the rest are counted, and pieces.csv has them all."""


def render(recipe: Recipe, workers: int, max_minutes: float = math.inf) -> Path:
    """Make the data set of a recipe and return its manifest's path; resumes a partial one.

    max_minutes: of rendering, after which a balanced part of it stands. Raises ValueError for a
    missing or bad corpus or SoundFont, or when the folder holds a data set of another recipe,
    OSError when the disk is full.
    """
    listed = _listed(recipe)  # what is quick to find wrong comes first
    synth = FluidSynth(recipe.soundfont, recipe.render_rate)
    with worker_pool(recipe, workers) as pool:
        splits, sha256, table = listed or _read_files(recipe, pool)
        plan = plan_excerpts(recipe, splits)
        manifest_path = recipe.out / "manifest.yaml"
        stated = _stated(recipe, synth.version, sha256)
        if manifest_path.exists():
            gains_db = _gains_of_same(manifest_path, stated, recipe.gains_db)
        else:
            gains_db = recipe.gains_db or _calibrate(recipe, pool, splits["train"])
            _check_gains(recipe, gains_db)
            recipe.out.mkdir(parents=True, exist_ok=True)
            if table:
                write_whole(recipe.out / "pieces.csv", table)
            text = yaml.safe_dump(stated | {"gains_db": dict(gains_db)}, sort_keys=False)
            write_whole(manifest_path, text.encode())
        for split in (*SPLITS, KEYS_ALONE):
            (recipe.out / split).mkdir(exist_ok=True)
            for half in (recipe.out / split).glob("*.part"):  # of a run that was killed
                half.unlink()
        todo = [job for job in plan if not recipe.path_of(job).exists()]
        limit = time.monotonic() + max_minutes * 60
        with tqdm(total=len(plan), initial=len(plan) - len(todo), unit="excerpt") as progress:
            for _ in pool.map(render_excerpt, todo, repeat(gains_db)) if max_minutes else ():
                progress.update()
                if time.monotonic() >= limit:
                    break
    return manifest_path


def _listed(recipe: Recipe) -> Surveyed | None:
    """A corpus with a manifest; None for one whose files must be read first."""
    if _has_manifest(recipe):
        return corpus.read_corpus(recipe.midi), corpus.corpus_digest(recipe.midi, None), b""
    corpus.find_files(recipe.midi)
    return None


def _read_files(recipe: Recipe, pool: ProcessPoolExecutor) -> Surveyed:
    """A corpus without a manifest; its broken files are told of."""
    midi, paths = recipe.midi, corpus.find_files(recipe.midi)
    known = corpus.read_pieces(recipe.out / "pieces.csv")
    read = pool.map(corpus.measure, repeat(midi), paths, map(known.get, paths), chunksize=4)
    found = corpus.without_copies(midi, tqdm(read, "read", len(paths), unit="file"))
    _tell_skipped([piece for piece in found if piece.problem], len(found))
    splits = corpus.split_pieces(found, recipe.val_fraction, recipe.test_fraction)
    return splits, corpus.corpus_digest(midi, found), corpus.pieces_csv(found, splits)


def _has_manifest(recipe: Recipe) -> bool:
    return (recipe.midi / "manifest.csv").is_file()


def _stated(recipe: Recipe, version: str, sha256: str) -> dict[str, Any]:
    """All that decides what is rendered, by the manifest's names."""
    programs = dict(recipe.programs)
    fractions = {"val_fraction": recipe.val_fraction, "test_fraction": recipe.test_fraction}
    return {
        "programs": programs,
        "train_minutes": recipe.train_minutes,
        "val_minutes": recipe.val_minutes,
        "test_pieces": recipe.test_pieces,
        "etude_share": recipe.etude_share,
        "seconds": recipe.seconds,
        "rate": recipe.rate,
        "hop": recipe.hop,
        "rendered_at": recipe.render_rate,
        "keys": {patch: list(recipe.keys_of(program)) for patch, program in programs.items()},
        "release_s": {patch: recipe.release_of(program) for patch, program in programs.items()},
        "key_s": recipe.key_s,
        "seed": recipe.seed,
        "soundfont": recipe.soundfont.name,
        "soundfont_sha256": hashlib.sha256(recipe.soundfont.read_bytes()).hexdigest(),
        "fluidsynth": version,
        "corpus_sha256": sha256,
        **({} if _has_manifest(recipe) else fractions),
    }


def _gains_of_same(
    manifest_path: Path, stated: Mapping[str, Any], gains_db: Mapping[str, float] | None
) -> dict[str, float]:
    """The gains of the data set that stands there, if it is of this very recipe."""
    manifest = read_manifest(manifest_path.parent)
    if gains_db is not None:
        stated = dict(stated) | {"gains_db": dict(gains_db)}
    for name, value in stated.items():
        if name not in manifest and name != "corpus_sha256":
            raise ValueError(
                f"{manifest_path}: {name} is missing: an older version made it; choose another "
                "--out"
            )
        if manifest.get(name, value) != value:
            raise ValueError(
                f"{manifest_path}: {name} is {manifest[name]!r} there, but {value!r} in this "
                "recipe; choose another --out"
            )
    if "gains_db" not in manifest:
        raise ValueError(f"{manifest_path}: gains_db is missing; choose another --out")
    return manifest["gains_db"]


def _tell_skipped(skipped: list[Piece], total: int) -> None:
    for piece in skipped[:SKIPPED_TOLD]:
        print(f"skipped {piece.problem}", file=sys.stderr)
    if skipped:
        print(f"skipped {len(skipped)} of {total} MIDI files", file=sys.stderr)


def _calibrate(
    recipe: Recipe, pool: ProcessPoolExecutor, pieces: list[tuple[str, float]]
) -> dict[str, float]:
    """Decibels that bring each program's loudest calibration sample to PEAK."""
    chosen = pieces[:: max(len(pieces) // CALIBRATION_PIECES, 1)][:CALIBRATION_PIECES]
    peaks = pool.map(loudest_sample, recipe.programs.values(), repeat(chosen))
    told = tqdm(peaks, "levels", len(recipe.programs), unit="program")
    return {
        patch: round(20 * math.log10(PEAK / max(peak, 1e-3)), 2)
        for patch, peak in zip(recipe.programs, told, strict=True)
    }


def _check_gains(recipe: Recipe, gains_db: Mapping[str, float]) -> None:
    check_mapping("gains_db", dict(gains_db), recipe.programs, recipe.programs)
    for patch, gain in gains_db.items():
        number(f"gains_db: {patch}", gain, *GAIN_DB)
