"""Scores -> sound: renders excerpts of pieces and etudes with every instrument of a bank.

A data set is a folder: one compressed .npz for each excerpt (audio int16, roll uint8 0..127)
under train/, val/ and test/, and manifest.yaml, which says what it was made of. Each file is
written whole and then renamed, so an interrupted run goes on where it stopped. What is
rendered follows from the seed alone.
"""

from __future__ import annotations

import hashlib
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from tqdm import tqdm

from daw_bridge.events import Event
from daw_bridge.midi_file import read_midi_file
from daw_bridge.piano_roll import PianoRoll
from trainer.corpus import SPLITS, read_corpus
from trainer.fluidsynth import FluidSynth
from trainer.manifest import read_manifest
from trainer.score import etude, excerpt, score_events

PROGRAMS = {
    "grand-piano": 0,
    "electric-piano": 4,
    "vibraphone": 11,
    "church-organ": 19,
    "acoustic-guitar": 24,
    "pizzicato-strings": 45,
    "orchestral-harp": 46,
    "string-ensemble": 48,
    "trumpet": 56,
    "synth-lead": 80,
}
"""The method's ten instruments: patch name -> General MIDI program."""

PEAK = 0.9
"""Loudest sample of a program's calibration pieces after its fixed gain."""
CALIBRATION_PIECES = 6
CALIBRATION_S = 30.0
"""Of each calibration piece; from its second half minute where it is long enough."""
RELEASE_S = 1.5
"""Sound kept after an excerpt's last note is let go."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to render. seconds: length of an excerpt; minutes: for each program and split."""

    midi: Path
    soundfont: Path
    out: Path
    programs: dict[str, int]
    train_minutes: float = 40.0
    val_minutes: float = 2.0
    etude_share: float = 0.25
    seconds: float = 20.0
    rate: int = 16_000
    hop: int = 128
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One file to make. piece: a MIDI path, or None for an etude; start in seconds."""

    split: str
    name: str
    patch: str
    program: int
    piece: str | None
    start: float
    seconds: float
    seed: int


def render(recipe: Recipe, workers: int) -> Path:
    """Make the data set of a recipe and return its manifest's path; resumes a partial one.

    Raises ValueError for a missing or bad corpus or SoundFont, or when the folder holds a
    data set of another recipe.
    """
    if recipe.seconds <= RELEASE_S:
        raise ValueError(f"seconds is {recipe.seconds:g}, but must be more than {RELEASE_S:g}")
    pieces = read_corpus(recipe.midi)
    plan = _plan(recipe, pieces)
    synth = FluidSynth(recipe.soundfont)
    manifest_path = recipe.out / "manifest.yaml"
    stated = _stated(recipe, synth.version)
    if manifest_path.exists():
        manifest = read_manifest(recipe.out)
        for name, value in stated.items():
            if manifest.get(name, value) != value:
                raise ValueError(
                    f"{manifest_path}: {name} is {manifest[name]!r} there, but {value!r} in this "
                    "recipe; choose another --out"
                )
        if "gains_db" not in manifest:
            raise ValueError(f"{manifest_path}: gains_db is missing; choose another --out")
    else:
        manifest = stated | {"gains_db": _calibrate(recipe, synth, pieces["train"])}
        recipe.out.mkdir(parents=True, exist_ok=True)
        _write_whole(manifest_path, yaml.safe_dump(manifest, sort_keys=False).encode())
    todo = [e for e in plan if not (recipe.out / e.split / f"{e.name}.npz").exists()]
    for split in SPLITS:
        (recipe.out / split).mkdir(exist_ok=True)
    start = (recipe, manifest["gains_db"])
    try:
        with (
            ProcessPoolExecutor(workers, initializer=_start_worker, initargs=start) as pool,
            tqdm(total=len(plan), initial=len(plan) - len(todo), unit="excerpt") as progress,
        ):
            for _ in pool.map(_render_excerpt, todo):
                progress.update()
    except BrokenProcessPool:
        raise ValueError(
            f"{recipe.out}: a worker was ended from outside (out of memory?); run it again, with "
            "fewer --workers"
        ) from None
    return manifest_path


def _stated(recipe: Recipe, version: str) -> dict[str, object]:
    stated = {k: v for k, v in asdict(recipe).items() if k not in ("out", "midi", "soundfont")}
    return stated | {
        "soundfont": recipe.soundfont.name,
        "soundfont_sha256": _digest(recipe.soundfont),
        "fluidsynth": version,
        "corpus_sha256": _digest(recipe.midi / "manifest.csv"),
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _plan(recipe: Recipe, pieces: dict[str, list[tuple[str, float]]]) -> list[Excerpt]:
    """Every excerpt of the data set; test pieces are one minute from the start, all programs."""
    random = np.random.default_rng(recipe.seed)
    plan: list[Excerpt] = []
    needed = {"train": True, "val": recipe.val_minutes > 0}
    for split in (s for s in needed if needed[s] and not pieces[s]):
        raise ValueError(f"{recipe.midi / 'manifest.csv'}: no piece has split {split}")
    for patch, program in recipe.programs.items():
        for split, minutes in (("train", recipe.train_minutes), ("val", recipe.val_minutes)):
            for number in range(round(minutes * 60 / recipe.seconds)):
                path, length = pieces[split][int(random.integers(len(pieces[split])))]
                start = float(random.uniform(0, max(length - recipe.seconds, 0)))
                made_up = split == "train" and random.random() < recipe.etude_share
                seed = int(random.integers(2**31))
                plan.append(
                    Excerpt(
                        split,
                        f"{number:04d}-{patch}",
                        patch,
                        program,
                        None if made_up else path,
                        start,
                        recipe.seconds,
                        seed,
                    )
                )
        for path, length in pieces["test"]:
            name = f"{Path(path).stem}-{patch}"
            seconds = min(60.0, length)
            plan.append(Excerpt("test", name, patch, program, path, 0.0, seconds, 0))
    if len({(e.split, e.name) for e in plan}) < len(plan):
        raise ValueError(f"{recipe.midi / 'manifest.csv'}: two test pieces have the same file name")
    # Instruments in turn, so that what an interrupted run leaves is a balanced set.
    return sorted(plan, key=lambda e: e.name)


def _calibrate(
    recipe: Recipe, synth: FluidSynth, pieces: list[tuple[str, float]]
) -> dict[str, float]:
    """Decibels that bring each program's loudest calibration sample to PEAK."""
    gains = {}
    chosen = pieces[:: max(len(pieces) // CALIBRATION_PIECES, 1)][:CALIBRATION_PIECES]
    scores = []
    for path, length in chosen:
        seconds = min(CALIBRATION_S, length)
        start = min(CALIBRATION_S, length - seconds)
        scores.append((_piece_events(recipe, path, start, start + seconds), seconds))
    for patch, program in tqdm(recipe.programs.items(), desc="levels", unit="program"):
        peaks = [np.abs(synth.render(s, program, recipe.rate, n)).max() for s, n in scores]
        gains[patch] = round(float(20 * np.log10(PEAK / max(*peaks, 1e-3))), 2)
    return gains


def _piece_events(recipe: Recipe, path: str, start: float, stop: float) -> list[Event]:
    rate = recipe.rate
    return excerpt(_whole_piece(recipe.midi / path, rate), round(start * rate), round(stop * rate))


@cache
def _whole_piece(path: Path, rate: int) -> list[Event]:
    return score_events(read_midi_file(path), rate)


_worker: tuple[Recipe, dict[str, float], FluidSynth]


def _start_worker(recipe: Recipe, gains_db: dict[str, float]) -> None:
    global _worker
    # Ctrl-C reaches every process; the first one lets the workers end what they have begun.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = (recipe, gains_db, FluidSynth(recipe.soundfont))


def _render_excerpt(job: Excerpt) -> None:
    recipe, gains_db, synth = _worker
    play = job.seconds if job.split == "test" else job.seconds - RELEASE_S
    if job.piece is None:
        events = etude(np.random.default_rng(job.seed), recipe.rate, play)
    else:
        events = _piece_events(recipe, job.piece, job.start, job.start + play)
    seconds = play + RELEASE_S
    audio = synth.render(events, job.program, recipe.rate, seconds)
    audio = audio * 10 ** (gains_db[job.patch] / 20)
    frames = -(-len(audio) // recipe.hop)
    roll = PianoRoll(recipe.hop).frames(events, 0, frames)
    path = recipe.out / job.split / f"{job.name}.npz"
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            audio=np.rint(np.clip(audio, -1, 1) * 32767).astype(np.int16),
            roll=np.rint(roll * 127).astype(np.uint8),
            patch=job.patch,
        )
    os.replace(partial, path)


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_suffix(path.suffix + ".part")
    partial.write_bytes(content)
    os.replace(partial, path)
