"""A corpus: a folder of MIDI files, each to train on, to validate with or to test with.

A manifest.csv in it says which is for what. Without one, all MIDI files below the folder are
read, and a hash of each file's path chooses its split, so that a file stays in its split when
others are added or removed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from daw_bridge.midi.file import read_midi_file

COLUMNS = ("path", "seconds", "split")
"""What a corpus's manifest.csv must state for each piece."""
SPLITS = ("train", "val", "test")
LONGEST_S = 24 * 3600.0
"""A file that claims to last longer has a broken time stamp."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A MIDI file as found. path: below the corpus, seconds: to its last note's end (0 if
    broken), problem: why it is left out, or empty."""

    path: str
    sha256: str
    seconds: float
    problem: str = ""


def read_corpus(midi: Path) -> dict[str, list[tuple[str, float]]]:
    """Split name -> (path, seconds of music) of each piece, as manifest.csv has it.

    Raises ValueError naming manifest.csv, the line and what is wrong with it.
    """
    manifest = midi / "manifest.csv"
    if not manifest.is_file():
        raise ValueError(f"{manifest}: no such file (it must have columns {', '.join(COLUMNS)})")
    splits: dict[str, list[tuple[str, float]]] = {split: [] for split in SPLITS}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = set(COLUMNS) - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"{manifest}: column {min(missing)} is missing")
        for row in rows:
            where = f"{manifest}: line {rows.line_num}"
            path, split = row["path"], row["split"]
            if split not in splits:
                raise ValueError(f"{where}: split: expected train, val or test, got {split!r}")
            if not path or not (midi / path).is_file():
                raise ValueError(f"{where}: {midi / (path or '')}: no such file")
            splits[split].append((path, _seconds(where, row["seconds"])))
    return splits


def measure(midi: Path, path: str, before: Piece | None) -> Piece:
    """Read one file of a corpus. What is wrong with a broken one stands in its `problem`.

    before: what it was when last measured; a good file that has not changed is not read again.
    """
    try:
        sha256 = hashlib.sha256((midi / path).read_bytes()).hexdigest()
        if before and before.sha256 == sha256 and not before.problem:
            return before
        messages = read_midi_file(midi / path)
    except (ValueError, OSError) as error:
        return Piece(path, "", 0.0, " ".join(str(error).split()))
    notes = [
        timed.seconds
        for timed in messages
        if timed.message.type in ("note_on", "note_off") and not timed.drums
    ]
    if not notes or notes[-1] <= 0:
        return Piece(path, sha256, 0.0, f"{midi / path}: holds no notes to play")
    if not notes[-1] <= LONGEST_S:
        return Piece(path, sha256, 0.0, f"{midi / path}: claims to last {notes[-1] / 3600:.0f} h")
    return Piece(path, sha256, round(notes[-1], 3))


def without_copies(midi: Path, pieces: Iterable[Piece]) -> list[Piece]:
    """The same pieces, with a problem for all but the first of equal files: otherwise a copy of
    a training piece could be held out."""
    first: dict[str, str] = {}
    marked = []
    for piece in pieces:
        if not piece.problem and first.setdefault(piece.sha256, piece.path) != piece.path:
            problem = f"{midi / piece.path}: the same file as {first[piece.sha256]}"
            piece = Piece(piece.path, piece.sha256, piece.seconds, problem)
        marked.append(piece)
    return marked


def split_pieces(
    pieces: Iterable[Piece], val: float, test: float
) -> dict[str, list[tuple[str, float]]]:
    """Split name -> (path, seconds) of each piece without a problem, by fractions (0..1) of all.

    If there are enough pieces, there is one to train on, and one for each fraction above 0.
    """
    splits: dict[str, list[tuple[str, float]]] = {split: [] for split in SPLITS}
    places = {p.path: _place(p.path) for p in pieces if not p.problem}
    seconds = {p.path: p.seconds for p in pieces}
    for path, place in places.items():
        split = "test" if place < test else "val" if place < test + val else "train"
        splits[split].append((path, seconds[path]))
    for split, fraction in (("train", 1.0), ("val", val), ("test", test)):
        richest = max(splits.values(), key=len)
        if fraction > 0 and not splits[split] and len(richest) > (split != "train"):
            taken = min(richest, key=lambda piece: places[piece[0]])
            richest.remove(taken)
            splits[split].append(taken)
    return splits


def pieces_csv(pieces: Iterable[Piece], splits: Mapping[str, list[tuple[str, float]]]) -> bytes:
    """A table of all pieces and why some were left out; `read_pieces` reads it back."""
    split_of = {path: split for split, chosen in splits.items() for path, _ in chosen}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*COLUMNS, "sha256", "problem"])
    for p in pieces:
        rows.writerow([p.path, p.seconds, split_of.get(p.path, ""), p.sha256, p.problem])
    return os.fsencode(text.getvalue())


def read_pieces(table: Path) -> dict[str, Piece]:
    """Pieces by path, from `pieces_csv`; none if there is no such table, or it is damaged."""
    if not table.is_file():
        return {}
    try:
        with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return {
                row["path"]: Piece(
                    row["path"], row["sha256"], float(row["seconds"]), row["problem"]
                )
                for row in csv.DictReader(file)
            }
    except (ValueError, LookupError, TypeError, csv.Error):
        return {}


def corpus_digest(midi: Path, pieces: Iterable[Piece] | None) -> str:
    """A SHA-256 of manifest.csv, or of the pieces that were found: another corpus, another hash."""
    digest = hashlib.sha256()
    if pieces is None:
        digest.update((midi / "manifest.csv").read_bytes())
    else:
        for piece in pieces:
            if not piece.problem:
                digest.update(os.fsencode(f"{piece.path}\0{piece.sha256}\0"))
    return digest.hexdigest()


def _place(path: str) -> float:
    """A number 0..1 that follows from the path alone, the same on every machine."""
    return int.from_bytes(hashlib.sha256(os.fsencode(path)).digest()[:8], "big") / 2**64


def _seconds(where: str, text: str | None) -> float:
    try:
        seconds = float(text or "")
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"{where}: seconds: expected a number above 0, got {text!r}")
    return seconds
