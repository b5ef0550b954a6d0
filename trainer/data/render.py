"""Scores -> sound: renders excerpts of pieces and etudes with every instrument of a bank.

A data set is a folder: one file for each excerpt (`storage` says what is in it) under train/,
val/ and test/, pieces.csv where the corpus had no manifest, and manifest.yaml, which says what
it was made of. Each file is written whole and then renamed, so an interrupted run goes on where
it stopped. What is rendered follows from the plan alone, however many workers there are.
"""

from __future__ import annotations

import hashlib
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import yaml
from tqdm import tqdm

from common.files import remove_partials, write_whole
from daw_bridge.midi.folder import find_files
from trainer.data import corpus
from trainer.data.corpus import SPLITS, Piece
from trainer.data.fluidsynth import FluidSynth
from trainer.data.jobs import list_jobs
from trainer.data.manifest import FILE, Manifest, read_manifest
from trainer.data.plan import KEYS_ALONE, LET_GO, RenderPlan
from trainer.data.programs import check_gains
from trainer.data.worker import MakeExcerpts, in_pool, loudest_sample, on_cluster, worker_pool

Surveyed = tuple[dict[str, list[tuple[str, float]]], str, bytes]
"""A corpus: split -> (path, seconds) of each piece, its digest, and pieces.csv or nothing."""

PEAK = 0.9
"""Loudest sample of a program's calibration pieces after its fixed gain."""
CALIBRATION_PIECES = 6
AHEAD = 4
"""Excerpts handed to each worker before they are done, so that none waits for another."""
SKIPPED_SHOWN = 10
"""Broken files that get a line each; the rest are counted, and pieces.csv has them all."""


def render(
    plan: RenderPlan, workers: int, max_minutes: float = math.inf, address: str | None = None
) -> Path:
    """Make the data set of a plan and return its manifest's path; resumes a partial one.

    max_minutes: of rendering; what is made until then is balanced; address: of a Ray cluster, which
    makes the excerpts instead of workers. Raises ValueError for a
    missing or bad corpus or SoundFont, or when the folder holds a data set of another plan,
    OSError when the disk is full.
    """
    plan.check()
    listed = _listed(plan)  # what is quick to find wrong comes first
    synth = FluidSynth(plan.soundfont, plan.render_rate)
    with worker_pool(plan, workers) as pool:
        splits, sha256, table = listed or _read_files(plan, pool)
        jobs = list_jobs(plan, splits)
        path = plan.out / FILE
        stated = _stated(plan, synth.version, sha256)
        if path.exists():
            gains_db = _gains_of_same(path, stated)
        else:
            gains_db = stated.gains_db or _calibrate(plan, pool, splits["train"])
            check_gains("--gains", gains_db, plan.programs)
            plan.out.mkdir(parents=True, exist_ok=True)
            if table:
                write_whole(plan.out / "pieces.csv", table)
            content = stated.stated() | {"gains_db": gains_db}
            write_whole(path, yaml.safe_dump(content, sort_keys=False))
        remove_partials(plan.out)  # of a run that was killed
        for split in (*SPLITS, KEYS_ALONE, LET_GO):
            (plan.out / split).mkdir(exist_ok=True)
            remove_partials(plan.out / split)
        todo = [job for job in jobs if not (plan.out / job.file).exists()]
        limit = time.monotonic() + max_minutes * 60
        with tqdm(total=len(jobs), initial=len(jobs) - len(todo), unit="excerpt") as progress:
            if address is None:
                made = in_pool(pool, todo, gains_db, AHEAD * workers)
            else:
                soundfont = str(stated.soundfont_sha256)
                make = MakeExcerpts(_anywhere(plan), gains_db, soundfont, synth.version)
                made = on_cluster(make, todo, address)
            with closing(made):
                for _ in made if max_minutes else ():
                    progress.update()
                    if time.monotonic() >= limit:
                        break
    return path


def _anywhere(plan: RenderPlan) -> RenderPlan:
    """The same plan for processes that began in other folders."""
    return replace(
        plan, midi=plan.midi.resolve(), soundfont=plan.soundfont.resolve(), out=plan.out.resolve()
    )


def _listed(plan: RenderPlan) -> Surveyed | None:
    """A corpus with a manifest; None for one whose files must be read first."""
    if _has_manifest(plan):
        return corpus.read_corpus(plan.midi), corpus.corpus_digest(plan.midi, None), b""
    find_files(plan.midi)
    return None


def _read_files(plan: RenderPlan, pool: ProcessPoolExecutor) -> Surveyed:
    """A corpus without a manifest; its broken files are reported."""
    midi, paths = plan.midi, find_files(plan.midi)
    known = corpus.read_pieces(plan.out / "pieces.csv")
    read = pool.map(corpus.measure, repeat(midi), paths, map(known.get, paths), chunksize=4)
    found = corpus.without_copies(midi, tqdm(read, "read", len(paths), unit="file"))
    _report_skipped([piece for piece in found if piece.problem], len(found))
    splits = corpus.split_pieces(found, plan.val_fraction, plan.test_fraction)
    return splits, corpus.corpus_digest(midi, found), corpus.pieces_csv(found, splits)


def _has_manifest(plan: RenderPlan) -> bool:
    return (plan.midi / "manifest.csv").is_file()


def _stated(plan: RenderPlan, version: str, sha256: str) -> Manifest:
    """All that decides what is rendered; gains only if the plan has them."""
    listed = _has_manifest(plan)
    return Manifest(
        programs=dict(plan.programs),
        train_minutes=plan.train_minutes,
        val_minutes=plan.val_minutes,
        test_pieces=plan.test_pieces,
        etude_share=plan.etudes,
        seconds=plan.seconds,
        rate=plan.rate,
        hop=plan.hop,
        rendered_at=plan.render_rate,
        keys={patch: list(plan.keys_of(program)) for patch, program in plan.programs.items()},
        release_s={patch: plan.release_of(program) for patch, program in plan.programs.items()},
        key_s=plan.key_seconds,
        seed=plan.seed,
        soundfont=plan.soundfont.name,
        soundfont_sha256=hashlib.sha256(plan.soundfont.read_bytes()).hexdigest(),
        fluidsynth=version,
        corpus_sha256=sha256,
        val_fraction=None if listed else plan.val_fraction,
        test_fraction=None if listed else plan.test_fraction,
        gains_db=None if plan.gains is None else dict(plan.gains),
    )


def _gains_of_same(path: Path, stated: Manifest) -> dict[str, float]:
    """The gains of the data set that stands there, if it is of this very plan."""
    found = read_manifest(path.parent)
    before = found.stated()
    for name, value in stated.stated().items():
        # The oldest data sets do not state their corpus.
        if name not in before and name != "corpus_sha256":
            raise ValueError(
                f"{path}: {name} is missing, so an older version made it; choose another --out"
            )
        if before.get(name, value) != value:
            raise ValueError(
                f"{path}: {name}: expected {value!r} as now asked for, got {before[name]!r}; "
                "choose another --out"
            )
    if found.gains_db is None:
        raise ValueError(f"{path}: gains_db is missing; choose another --out")
    return found.gains_db


def _report_skipped(skipped: list[Piece], total: int) -> None:
    for piece in skipped[:SKIPPED_SHOWN]:
        print(f"skipped {piece.problem}", file=sys.stderr)
    if skipped:
        print(f"skipped {len(skipped)} of {total} MIDI files", file=sys.stderr)


def _calibrate(
    plan: RenderPlan, pool: ProcessPoolExecutor, pieces: list[tuple[str, float]]
) -> dict[str, float]:
    """Decibels that bring each program's loudest calibration sample to PEAK."""
    chosen = pieces[:: max(len(pieces) // CALIBRATION_PIECES, 1)][:CALIBRATION_PIECES]
    peaks = pool.map(loudest_sample, plan.programs.values(), repeat(chosen))
    bar = tqdm(peaks, "levels", len(plan.programs), unit="program")
    return {
        patch: round(20 * math.log10(PEAK / max(peak, 1e-3)), 2)
        for patch, peak in zip(plan.programs, bar, strict=True)
    }
