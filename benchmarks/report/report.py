"""One page of everything measured: figures, pictures and sounds, in a single HTML file.

--results is a folder of kept rows (NAME.json, as --json writes them) and pictures (*.png,
also in plots/) of one machine, or a folder of such folders, one for each kind of machine.
What was not measured is named with the command that does. The sounds are made anew from the
first seconds of test excerpts. The page loads nothing from outside: pictures and sounds are
in it, and a rule in its head forbids the rest.
"""

from __future__ import annotations

import argparse
import ast
import json
from dataclasses import dataclass
from pathlib import Path
from string import Template

from benchmarks import rows as results
from benchmarks.report import html as page
from benchmarks.report.headline import headline
from benchmarks.report.html import Rows
from benchmarks.report.sounds import CONDITIONS, examples
from benchmarks.rows import Row
from player.flags import DEFAULT_BANK
from synth.bank.bank import load_bank

SUMMARY = "all that was kept, on one page, with sounds to play"
HERE = Path(__file__).parent
RESULTS = Path("benchmarks/results")
NAMES = (
    *("fidelity", "transcription", "tuning", "latency"),
    *("sampler", "soak", "embedding"),
)
"""In the order of the page; other files in the folder follow."""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Kept:
    """What one machine's folder holds. rows: by benchmark; pictures: by stem, PNG."""

    folder: Path
    rows: dict[str, Rows]
    pictures: dict[str, bytes]

    @property
    def kind(self) -> str:
        """The machine's kind, as the folder is called."""
        return self.folder.resolve().name


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to gather, and what to play."""
    parser.add_argument("--out", type=Path, default=Path("runs/report.html"))
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder")
    parser.add_argument("--bank", type=Path, default=DEFAULT_BANK, help="that the sounds are of")
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="data set folder")
    parser.add_argument("--patches", nargs="+", help="to play (default: every third)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each sound")


def measure(options: argparse.Namespace) -> list[Row]:
    """Write the page; a row for each of its sections.

    Raises ValueError for a folder or file that is not what it should be, an unknown patch,
    or --seconds of 0 or less.
    """
    kept = gather(options.results)
    names = list(dict.fromkeys([*NAMES, *(name for k in kept for name in k.rows)]))
    sounds, count = _sounds(options)
    parts = [section(name, kept, options.results) for name in names]
    text = Template((HERE / "report.html").read_text(encoding="utf-8")).substitute(
        made=page.escape(_stated()),
        contents=page.contents(["listen", *names]),
        headline="".join(headline(k.kind, k.rows) for k in kept),
        listen=sounds,
        sections="".join(parts) + _other_pictures(kept, names),
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    partial = options.out.with_name(options.out.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(options.out)
    rows: list[Row] = [
        {"section": name, "rows": sum(len(k.rows.get(name, [])) for k in kept)} for name in names
    ]
    size = options.out.stat().st_size / 1e6
    print(f"{options.out}: {size:.1f} MB, {len(kept)} machines, {count} sounds")
    return rows


def gather(folder: Path) -> list[Kept]:
    """The results in a folder, or in its folders by name; ValueError names a bad file."""
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: no such folder; keep results in one for each kind of machine, with "
            f"python -m benchmarks {NAMES[0]} --json {folder}/MACHINE/{NAMES[0]}.json"
        )
    own = _read(folder)
    if own.rows:
        return [own]
    inner = [_read(path) for path in sorted(folder.iterdir()) if path.is_dir()]
    return [kept for kept in (*inner, own) if kept.rows or kept.pictures]


def section(name: str, kept: list[Kept], folder: Path) -> str:
    """What every machine kept of one benchmark, as HTML."""
    summary, method = about(name)
    body = ""
    for machine in kept:
        if name in machine.rows:
            body += page.heading(machine.kind)
            pictures = {s: p for s, p in machine.pictures.items() if _belongs(s, name)}
            stated = page.stated(machine.rows[name])
            body += "".join(page.picture(png, stem, stated) for stem, png in pictures.items())
            body += page.tables(machine.rows[name])
    if not body:
        own = kept[0].folder if kept else folder / "MACHINE"
        body = page.missing(f"python -m benchmarks {name} --json {own / name}.json")
    return page.section(name, summary, method, body)


def about(name: str) -> tuple[str, str]:
    """A benchmark's SUMMARY and docstring, read without running it; empty where it is not.

    Its libraries need not be there to show what it measured elsewhere.
    """
    path = HERE.parent / "measures" / f"{name}.py"
    # name may be any file's: it is no path.
    if not name.isidentifier() or not path.is_file():
        return "", ""
    module = ast.parse(path.read_text(encoding="utf-8"))
    summary = ""
    for line in module.body:
        match line:
            case ast.Assign([ast.Name("SUMMARY")], ast.Constant(str(text))):
                summary = text
    return summary, ast.get_docstring(module) or ""


def _read(folder: Path) -> Kept:
    rows = {path.stem: _rows(path) for path in sorted(folder.glob("*.json"))}
    pictures = {}
    for path in sorted([*folder.glob("*.png"), *folder.glob("plots/*.png")]):
        pictures[path.stem] = path.read_bytes()
        if not pictures[path.stem].startswith(PNG):
            raise ValueError(f"{path}: not a PNG picture")
    return Kept(folder, rows, pictures)


def _rows(path: Path) -> Rows:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path}: must be a list of rows, not empty")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{path}: row {number} is {row!r}, but must map columns to values")
        for column, value in row.items():
            if not isinstance(value, str | int | float | None):
                raise ValueError(
                    f"{path}: row {number}: {column} is {value!r}, but must be text or a number"
                )
    return rows


def _belongs(stem: str, name: str) -> bool:
    return stem == name or stem.startswith((f"{name}-", f"{name}_"))


def _other_pictures(kept: list[Kept], names: list[str]) -> str:
    body = ""
    for machine in kept:
        # Beside a table they say when they were measured; elsewhere nothing does.
        loose = {
            stem: png
            for stem, png in machine.pictures.items()
            if not any(_belongs(stem, name) and name in machine.rows for name in names)
        }
        if loose:
            body += page.heading(machine.kind)
            body += "".join(page.picture(png, stem, "") for stem, png in loose.items())
    return page.section("pictures", "without a table of their own", "", body) if body else ""


def _sounds(options: argparse.Namespace) -> tuple[str, int]:
    """The sound examples as HTML, and how many sounds there are."""
    if options.seconds <= 0:
        raise ValueError(f"--seconds {options.seconds}: must be above 0")
    bank = load_bank(options.bank)
    patches = options.patches or list(bank.programs.values())[::3]
    for patch in patches:
        bank.patch(patch)
    if not (options.data / "test").is_dir():
        command = f"python -m trainer render --out {options.data} ..."
        return page.missing(command, "no test excerpts to play"), 0
    made = list(examples(bank, options.data, patches, options.seconds))
    training = "; ".join(
        f"{network}: {told['hours_of_training']} h of training on {told['device']}"
        for network, told in bank.about.items()
        if isinstance(told, dict) and {"hours_of_training", "device"} <= told.keys()
    )
    stated = f"Bank {bank.path.resolve().name} ({training or 'no provenance'}). {_stated()}"
    body = "".join(page.example(example) for example in made)
    return page.conditions(CONDITIONS, stated) + body, sum(len(e.sounds) for e in made)


def _stated() -> str:
    made = results.stated()
    return f"Made {made['date']} at {made['commit']} on {made['machine']}."
