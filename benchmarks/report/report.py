"""One page with everything that was measured: sounds, figures, pictures, in one HTML file.

--results is a folder with the kept rows (NAME.json, as --json writes them) and pictures (*.png,
also in plots/) of one machine, or a folder of such folders, one for each kind of machine. For
what was not measured, the page shows the command that does it. The sounds are made anew from the
first seconds of test pieces. The page loads nothing from outside: pictures and sounds are part of
it, and a rule in its head forbids everything else.
"""

from __future__ import annotations

import argparse
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.commands import MODULES, about
from benchmarks.flags import above, add_bank_flag, add_data_flag
from benchmarks.report.headline import Panel, headline
from benchmarks.report.sounds import KINDS, Example, Kind, examples
from benchmarks.report.tables import Table, stated, tables
from benchmarks.rows import Row, read_rows
from benchmarks.rows import stated as stated_now
from common.files import write_whole
from synth.bank.bank import Bank, load_bank

SUMMARY = "everything that was kept, on one page, with sounds to play"
HERE = Path(__file__).parent
RESULTS = Path("benchmarks/results")
NAMES = [name for name, room in MODULES.items() if room.startswith("measures.")]
"""In the order of the page; other files in the folder follow."""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Kept:
    """What one machine's folder contains. rows: by benchmark; pictures: by stem, PNG."""

    folder: Path
    rows: dict[str, list[Row]]
    pictures: dict[str, bytes]

    @property
    def machine(self) -> str:
        """The kind of machine, which is the folder's name."""
        return self.folder.resolve().name


@dataclass(frozen=True, slots=True)
class Picture:
    """stated: when and where it was measured, empty if unknown."""

    name: str
    png: bytes
    stated: str

    @property
    def caption(self) -> str:
        return self.name.replace("_", " ").replace("-", " ")


@dataclass(frozen=True, slots=True)
class MachineResults:
    """What one machine has of one section."""

    machine: str
    pictures: list[Picture]
    tables: list[Table]


@dataclass(frozen=True, slots=True)
class Section:
    """A benchmark's part of the page. method: its docstring; command: what measures it, if
    there are no results."""

    name: str
    summary: str
    method: str
    results: list[MachineResults]
    command: str = ""

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Listening:
    """The sound examples. kinds: those that are among them; about: what made them; command: what
    makes test pieces, if there are none."""

    examples: list[Example]
    kinds: list[Kind]
    about: str
    command: str = ""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to gather, and what to play."""
    add_bank_flag(parser)
    add_data_flag(parser)
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/report.html"), help="the page to write")
    add("--results", type=Path, default=RESULTS, help="folder of results")
    add("--patches", nargs="+", help="patches of the sounds (default: every third)")
    add("--seconds", type=above(0), default=8.0, help="of each sound")


def measure(options: argparse.Namespace) -> list[Row]:
    """Write the page; a row for each of its sections.

    Raises ValueError for a folder or file that is not what it should be, or an unknown patch.
    """
    kept = gather(options.results)
    names = list(dict.fromkeys([*NAMES, *(name for k in kept for name in k.rows)]))
    listening = _listening(options)
    sections = [section(name, kept, options.results) for name in names]
    page = render(
        made=_made(),
        listening=listening,
        headlines=headlines(kept),
        sections=[*sections, *_other_pictures(kept, names)],
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(options.out, page)
    sounds = sum(len(example.sounds) for example in listening.examples)
    size = options.out.stat().st_size / 1e6
    print(f"{options.out}: {size:.1f} MB, {len(kept)} machines, {sounds} sounds")
    return [
        {"section": name, "rows": sum(len(k.rows.get(name, [])) for k in kept)} for name in names
    ]


def render(**content: object) -> str:
    """The page. All text in content is escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    environment.filters["percent"] = _percent
    return environment.get_template("report.html").render(content)


def gather(folder: Path) -> list[Kept]:
    """The results in a folder, or in its folders by name; ValueError names a bad file."""
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: no such folder; keep results in one folder for each kind of machine, with "
            f"python -m benchmarks {NAMES[0]} --json {folder}/MACHINE/{NAMES[0]}.json"
        )
    own = _read(folder)
    if own.rows:
        return [own]
    inner = [_read(path) for path in sorted(folder.iterdir()) if path.is_dir()]
    return [kept for kept in (*inner, own) if kept.rows or kept.pictures]


def headlines(kept: Sequence[Kept]) -> Mapping[str, list[Panel]]:
    """The main figures of each machine that has some."""
    found = {machine.machine: headline(machine.rows) for machine in kept}
    return {machine: panels for machine, panels in found.items() if panels}


def section(name: str, kept: Sequence[Kept], folder: Path) -> Section:
    """What every machine has of one benchmark."""
    summary, method = about(name)
    results = [
        MachineResults(
            machine.machine,
            [
                Picture(stem, png, stated(machine.rows[name]))
                for stem, png in machine.pictures.items()
                if _belongs(stem, name)
            ],
            tables(machine.rows[name]),
        )
        for machine in kept
        if name in machine.rows
    ]
    own = kept[0].folder if kept else folder / "MACHINE"
    command = "" if results else f"python -m benchmarks {name} --json {own / name}.json"
    return Section(name, summary, method, results, command)


def _read(folder: Path) -> Kept:
    rows = {path.stem: read_rows(path) for path in sorted(folder.glob("*.json"))}
    pictures = {}
    for path in sorted([*folder.glob("*.png"), *folder.glob("plots/*.png")]):
        pictures[path.stem] = path.read_bytes()
        if not pictures[path.stem].startswith(PNG):
            raise ValueError(f"{path}: not a PNG picture")
    return Kept(folder, rows, pictures)


def _belongs(stem: str, name: str) -> bool:
    return stem == name or stem.startswith((f"{name}-", f"{name}_"))


def _other_pictures(kept: Sequence[Kept], names: Sequence[str]) -> list[Section]:
    """A section for pictures that belong to no table, if there are any."""
    results = []
    for machine in kept:
        loose = [
            Picture(stem, png, "")
            for stem, png in machine.pictures.items()
            if not any(_belongs(stem, name) and name in machine.rows for name in names)
        ]
        if loose:
            results.append(MachineResults(machine.machine, loose, []))
    return [Section("pictures", "without a table of their own", "", results)] if results else []


def _listening(options: argparse.Namespace) -> Listening:
    bank = load_bank(options.bank)
    patches = options.patches or list(bank.programs.values())[::3]
    for patch in patches:
        bank.patch(patch)
    if not (options.data / "test").is_dir():
        return Listening([], [], "", f"python -m trainer render --out {options.data} ...")
    made = list(examples(bank, options.data, patches, options.seconds))
    titles = {sound.title for example in made for sound in example.sounds}
    kinds = [kind for kind in KINDS if kind.title in titles]
    about_bank = f"Bank {bank.path.resolve().name} ({_training(bank)}). {_made()}"
    return Listening(made, kinds, about_bank)


def _training(bank: Bank) -> str:
    """How long a bank's networks were trained, and on what."""
    trained = [
        f"{network}: {run['hours_of_training']} h of training on {run['device']}"
        for network, run in bank.about.items()
        if isinstance(run, dict) and {"hours_of_training", "device"} <= run.keys()
    ]
    return "; ".join(trained) or "origin unknown"


def _made() -> str:
    now = stated_now()
    return f"Made {now['date']} from commit {now['commit']} on {now['machine']}."


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode('ascii')}"


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0), 1):.1f}%"
