"""manifest.yaml: what a data set was made of; `render` writes it, everything else reads it here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval
from pydantic import Strict

from common.documents import read_document
from trainer.data.programs import Gains, Programs, check_gains, check_programs

FILE = "manifest.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A data set: programs and gains_db by patch name; minutes for each program; lengths and
    releases in seconds; rates in samples a second; keys: the lowest and the highest of each patch;
    fractions: of the files of a corpus that has no manifest.csv.

    Training needs the programs, the rate and the hop. Older data sets lack some of the rest.
    """

    programs: Programs
    train_minutes: float | None = None
    val_minutes: float | None = None
    test_pieces: int | None = None
    etude_share: float | None = None
    seconds: float | None = None
    rate: Annotated[int, Strict(), Interval(ge=8_000, le=192_000)]
    hop: Annotated[int, Strict(), Interval(ge=16, le=8_192)]
    rendered_at: int | None = None
    keys: dict[str, list[int]] | None = None
    release_s: dict[str, float] | None = None
    key_s: float | None = None
    seed: int | None = None
    soundfont: str | None = None
    soundfont_sha256: str | None = None
    fluidsynth: str | None = None
    corpus_sha256: str | None = None
    val_fraction: float | None = None
    test_fraction: float | None = None
    gains_db: Gains | None = None

    def stated(self) -> dict[str, Any]:
        """Field -> value, in the file's order, of all that the data set states."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a data set's folder.

    Raises ValueError, in one line that names the file, the field, and what is allowed.
    """
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"{path}: no data set here; make one with `render`")
    manifest = read_document(path, Manifest)
    check_programs(str(path), manifest.programs)
    if manifest.gains_db is not None:
        check_gains(f"{path}: gains_db", manifest.gains_db, manifest.programs)
    return manifest
