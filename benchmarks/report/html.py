"""The pieces of the report's page: rows, pictures and sounds as HTML.

Whatever comes from outside goes through `escape`, and bytes go into data URIs; nothing here
reads a file.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping
from html import escape

from benchmarks.report.sounds import Example

Value = str | int | float | bool | None
Rows = list[dict[str, Value]]
STATED = ("date", "commit", "machine")
LONG = 16
"""Rows of a table that is shown at once; a longer one opens on demand."""

__all__ = ["Rows", "escape"]


def tables(rows: Rows) -> str:
    """Rows as tables, one for each date, commit and machine, which stand above it."""
    groups: dict[tuple[str, ...], Rows] = {}
    for row in rows:
        groups.setdefault(provenance(row), []).append(row)
    return "".join(_table(group, stated(group)) for group in groups.values())


def provenance(row: Mapping[str, Value]) -> tuple[str, ...]:
    """A row's date, commit and machine; "unknown" for what it does not say."""
    return tuple(str(row.get(key) or "unknown") for key in STATED)


def stated(rows: Rows) -> str:
    """When, of what and where rows were measured, in words; all ways if they differ."""
    ways = dict.fromkeys(provenance(row) for row in rows)
    return "; ".join(f"{day}, commit {commit}, {machine}" for day, commit, machine in ways)


def value_text(value: Value) -> str:
    """A cell.

    >>> [value_text(v) for v in (0.12345, 1234.5, 12, True, float("nan"), "trumpet")]
    ['0.123', '1,234', '12', 'yes', '–', 'trumpet']
    """
    match value:
        case bool():
            return "yes" if value else "no"
        case float() if not math.isfinite(value):
            return "–"
        case float():
            return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3}f}"
        case int():
            return f"{value:,}"
        case None:
            return ""
    return str(value)


def section(name: str, summary: str, method: str, body: str) -> str:
    """A benchmark's part of the page. method: its docstring; body: HTML."""
    how = ""
    if method:
        text = escape(method)
        how = f"<details class=method><summary>How it is measured</summary><pre>{text}</pre>"
        how += "</details>"
    lede = f"<p class=lede>{escape(summary)}</p>" if summary else ""
    title = escape(name.replace("_", " ").capitalize())
    return f'<section id="{escape(name)}"><h2>{title}</h2>{lede}{how}{body}</section>\n'


def heading(text: str) -> str:
    """A machine's name within a section."""
    return f"<h3>{escape(text)}</h3>"


def contents(names: list[str]) -> str:
    """Links to the sections."""
    links = (f'<a href="#{escape(n)}">{escape(n.replace("_", " "))}</a>' for n in names)
    return " ".join(links)


def missing(command: str, what: str = "not measured") -> str:
    """A remark on what is not there, and how to get it."""
    return f"<p class=missing>{escape(what)}, run: <code>{escape(command)}</code></p>"


def picture(png: bytes, name: str, stated_as: str) -> str:
    """A picture with its file's name and, if known, when and where it was measured."""
    caption = escape(name.replace("_", " ").replace("-", " "))
    if stated_as:
        caption += f" <span class=stated>{escape(stated_as)}</span>"
    source = _uri("image/png", png)
    return (
        f'<figure class=plot><img alt="{escape(name)}" src="{source}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def conditions(listed: Mapping[str, str], stated_as: str) -> str:
    """What the sounds are, condition by condition."""
    terms = "".join(f"<dt>{escape(k)}<dd>{escape(v)}" for k, v in listed.items())
    return f"<dl class=conditions>{terms}</dl><p class=stated>{escape(stated_as)}</p>"


def example(made: Example) -> str:
    """One instrument's sounds beside their spectrograms."""
    figures = "".join(
        f"<figure class=sound><figcaption>{escape(sound.condition)}</figcaption>"
        f'<div class=spectrum><img alt="spectrogram" src="{_uri("image/png", sound.picture)}">'
        "<i></i></div>"
        f'<audio controls preload=auto src="{_uri("audio/flac", sound.flac)}"></audio></figure>'
        for sound in made.sounds
    )
    title = f"{escape(made.patch)} <span class=stated>{escape(made.piece)}</span>"
    return f"<h3>{title}</h3><div class=sounds>{figures}</div>\n"


def _table(rows: Rows, caption: str) -> str:
    columns = [c for c in dict.fromkeys(key for row in rows for key in row) if c not in STATED]
    numeric = {
        c: all(
            isinstance(row.get(c), int | float | None) and row.get(c) is not True for row in rows
        )
        for c in columns
    }
    head = "".join(
        f"<th{' class=n' if numeric[c] else ''}>{escape(c.replace('_', ' '))}" for c in columns
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=n' if numeric[c] else ''}>{escape(value_text(row.get(c)))}"
            for c in columns
        )
        for row in rows
    )
    table = f"<div class=scroll><table><thead><tr>{head}<tbody>{body}</table></div>"
    if len(rows) > LONG:
        table = f"<details><summary>All {len(rows)} rows</summary>{table}</details>"
    return f"<p class=stated>{escape(caption)}</p>{table}"


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode('ascii')}"
