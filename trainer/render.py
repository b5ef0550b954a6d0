"""Scores -> sound: renders excerpts of pieces and etudes with every instrument of a bank.

A data set is a folder: one file for each excerpt (`storage` says what is in it) under train/,
val/ and test/, pieces.csv where the corpus had no manifest, and manifest.yaml, which says what
it was made of. Each file is written whole and then renamed, so an interrupted run goes on where
it stopped. What is rendered follows from the recipe alone, however many workers there are.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from itertools import repeat
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from daw_bridge.events import Event
from daw_bridge.midi_file import read_midi_file
from daw_bridge.piano_roll import PianoRoll
from synth.fields import check_mapping, number
from trainer import corpus
from trainer.corpus import SPLITS, Piece
from trainer.fluidsynth import RENDER_RATE, FluidSynth
from trainer.manifest import read_manifest
from trainer.plan import Excerpt, Recipe, plan_excerpts
from trainer.score import etude, excerpt, score_events, within
from trainer.storage import excerpt_bytes, write_whole

__all__ = ["Recipe", "render"]

PEAK = 0.9
"""Loudest sample of a program's calibration pieces after its fixed gain."""
CALIBRATION_PIECES = 6
CALIBRATION_S = 30.0
"""Of each calibration piece; from its second half minute where it is long enough."""
GAIN_DB = (-60.0, 60.0)
PIECES_KEPT = 256
"""Parsed pieces that a worker keeps: 300 MB at most, and few are parsed twice."""
SKIPPED_TOLD = 10
"""Broken files told of by a line each; the rest are counted, and pieces.csv has them all."""


def render(recipe: Recipe, workers: int, max_minutes: float = math.inf) -> Path:
    """Make the data set of a recipe and return its manifest's path; resumes a partial one.

    max_minutes: of rendering, after which a balanced part of it stands. Raises ValueError for a
    missing or bad corpus or SoundFont, or when the folder holds a data set of another recipe,
    OSError when the disk is full.
    """
    # What is quick to find wrong comes first.
    files = None if _has_manifest(recipe) else corpus.find_files(recipe.midi)
    listed = corpus.read_corpus(recipe.midi) if files is None else None
    synth = FluidSynth(recipe.soundfont, _render_rate(recipe))
    with _pool(recipe, workers) as pool:
        if listed is not None:
            splits, sha256, table = listed, corpus.corpus_digest(recipe.midi, None), b""
        else:
            splits, sha256, table = _read_files(recipe, files, pool)
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
        for split in SPLITS:
            (recipe.out / split).mkdir(exist_ok=True)
            for half in (recipe.out / split).glob("*.part"):  # of a run that was killed
                half.unlink()
        todo = [job for job in plan if not _path(recipe, job).exists()]
        limit = time.monotonic() + max_minutes * 60
        with tqdm(total=len(plan), initial=len(plan) - len(todo), unit="excerpt") as progress:
            for _ in pool.map(_render_excerpt, todo, repeat(gains_db)) if max_minutes else ():
                progress.update()
                if time.monotonic() >= limit:
                    break
    return manifest_path


def _has_manifest(recipe: Recipe) -> bool:
    return (recipe.midi / "manifest.csv").is_file()


def _render_rate(recipe: Recipe) -> int:
    return recipe.rate if recipe.direct else max(recipe.rate, RENDER_RATE)


def _path(recipe: Recipe, job: Excerpt) -> Path:
    return recipe.out / job.split / f"{job.name}.npz"


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
        "rendered_at": _render_rate(recipe),
        "keys": {patch: list(recipe.keys_of(program)) for patch, program in programs.items()},
        "release_s": {patch: recipe.release_of(program) for patch, program in programs.items()},
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


def _read_files(
    recipe: Recipe, paths: list[str], pool: ProcessPoolExecutor
) -> tuple[dict[str, list[tuple[str, float]]], str, bytes]:
    """Split -> (path, seconds) of a corpus without manifest, its digest and its pieces.csv."""
    midi = recipe.midi
    known = corpus.read_pieces(recipe.out / "pieces.csv")
    read = pool.map(corpus.measure, repeat(midi), paths, map(known.get, paths), chunksize=4)
    found = corpus.without_copies(midi, tqdm(read, "read", len(paths), unit="file"))
    _tell_skipped([piece for piece in found if piece.problem], len(found))
    splits = corpus.split_pieces(found, recipe.val_fraction, recipe.test_fraction)
    return splits, corpus.corpus_digest(midi, found), corpus.pieces_csv(found, splits)


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
    peaks = pool.map(_peak, recipe.programs.values(), repeat(chosen))
    told = tqdm(peaks, "levels", len(recipe.programs), unit="program")
    return {
        patch: round(20 * math.log10(PEAK / max(peak, 1e-3)), 2)
        for patch, peak in zip(recipe.programs, told, strict=True)
    }


def _check_gains(recipe: Recipe, gains_db: Mapping[str, float]) -> None:
    check_mapping("gains_db", dict(gains_db), recipe.programs, recipe.programs)
    for patch, gain in gains_db.items():
        number(f"gains_db: {patch}", gain, *GAIN_DB)


@contextmanager
def _pool(recipe: Recipe, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that end with this one, whatever ends it; what is begun is finished."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process
    pool = ProcessPoolExecutor(workers, initializer=_start_worker, initargs=(recipe,))
    try:
        pool.submit(os.getpid).result()
        signal.signal(signal.SIGINT, previous)
        yield pool
    except BrokenProcessPool:
        raise ValueError(
            f"{recipe.out}: a worker was ended from outside (out of memory?); run it again, with "
            "fewer --workers"
        ) from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second one would leave halves
        pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGINT, previous)


_recipe: Recipe


def _start_worker(recipe: Recipe) -> None:
    global _recipe
    _recipe = recipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed first process would leave workers that wait for ever."""
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


@lru_cache(1)
def _synth() -> FluidSynth:
    return FluidSynth(_recipe.soundfont, _render_rate(_recipe))


def _peak(program: int, pieces: list[tuple[str, float]]) -> float:
    loudest = 0.0
    for path, length in pieces:
        played = min(CALIBRATION_S, length)
        start = min(CALIBRATION_S, length - played)
        events = _piece_events(path, program, start, start + played)
        audio = _synth().render(events, program, _recipe.rate, played)
        loudest = max(loudest, float(np.abs(audio).max()))
    return loudest


def _piece_events(path: str, program: int, start: float, stop: float) -> list[Event]:
    rate = _recipe.rate
    whole = _whole_piece(_recipe.midi / path, rate)
    return within(excerpt(whole, round(start * rate), round(stop * rate)), _recipe.keys_of(program))


@lru_cache(PIECES_KEPT)
def _whole_piece(path: Path, rate: int) -> list[Event]:
    return score_events(read_midi_file(path), rate)


def _render_excerpt(job: Excerpt, gains_db: Mapping[str, float]) -> None:
    recipe = _recipe
    if job.piece is None:
        random, keys = np.random.default_rng(job.seed), recipe.keys_of(job.program)
        events = etude(random, recipe.rate, job.played_s, keys)
    else:
        events = _piece_events(job.piece, job.program, job.start, job.start + job.played_s)
    seconds = job.played_s + recipe.release_of(job.program)
    audio = _synth().render(events, job.program, recipe.rate, seconds)
    audio = audio * 10 ** (gains_db[job.patch] / 20)
    frames = -(-len(audio) // recipe.hop)
    roll = PianoRoll(recipe.hop).frames(events, 0, frames)
    content = excerpt_bytes(
        np.rint(np.clip(audio, -1, 1) * 32767).astype(np.int16),
        np.rint(roll * 127).astype(np.uint8),
        recipe.rate,
        job.patch,
    )
    write_whole(_path(recipe, job), content)
