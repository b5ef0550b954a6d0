"""What a file may hold, and how a refusal reads."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import ConfigDict, Field, with_config

from common.documents import MOST_BYTES, fit, read_document

Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Program = Annotated[int, Field(strict=True, ge=0, le=127)]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Inner:
    size: Program = 0


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Shape:
    points: tuple[Annotated[float, Field(strict=True, ge=-9, le=9)], ...]
    knobs: dict[str, Share] = field(default_factory=dict)
    program: Program | None = None
    inner: Inner | None = None


def test_what_fits_becomes_the_dataclass(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("points: [1, 2.5]\nknobs: {bright: 1}\n")
    assert read_document(path, Shape) == Shape((1.0, 2.5), {"bright": 1.0})


@pytest.mark.parametrize(
    "text, told",
    [
        ("points: [1, a]", "points: 1: expected a number, got 'a'"),
        ("points: [1, .nan]", "points: 1: expected at most 9, got nan"),
        ("points: [true]", "points: 0: expected a number, got True"),
        ("points: 12", "points: expected a list, got 12"),
        ("knobs: {}", "points is missing"),
        ("points: []\nknobs: {bright: 2}", "knobs: bright: expected at most 1, got 2"),
        ("points: []\nknobs: {1: 0.5}", "knobs: expected text, got 1"),
        ("points: []\nprogram: 60.5", "program: expected a whole number, got 60.5"),
        ("points: []\nprogram: -1", "program: expected at least 0, got -1"),
        ("points: []\nx: 1", "unknown key 'x'; allowed are points, knobs, program, inner"),
        ("points: []\ninner: {length: 1}", "inner: unknown key 'length'; allowed are size"),
        ("points: []\n7: 1", "unknown key 7; allowed are points, knobs, program, inner"),
        ("[1]", "expected a mapping, got [1]"),
        ("", "expected a mapping, got None"),
        ("a: b: c", "not valid YAML (line 1: mapping values are not allowed in this context)"),
        ("points: !!python/object/apply:os.system [ls]", "not valid YAML (line 1: could not"),
    ],
)
def test_a_refusal_names_file_field_value_and_what_is_expected(tmp_path, text, told):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ValueError) as refused:
        read_document(path, Shape)
    assert str(refused.value).startswith(f"{path}: {told}")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=f"^{path}: cannot be read"):
        read_document(path, Shape)


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "large"])
def test_what_would_be_read_for_ever_is_refused(tmp_path, kind):
    path = tmp_path / "a.yaml"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "large":
            path.write_bytes(b"#" * (MOST_BYTES + 1))
    words = {"missing": "no such file", "large": "expected at most 1 MiB, got 1.0 MiB"}
    told = words.get(kind, "expected a file, got a folder, pipe or device")
    with pytest.raises(ValueError, match=f"^{path}: {told}$"):
        read_document(path, Shape)


def test_a_small_file_that_unfolds_into_gigabytes_is_told_shortly(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines) + "\npoints: *a11\n")
    with pytest.raises(ValueError) as refused:
        read_document(Path(path), Shape)
    assert len(str(refused.value)) < 500


def test_values_need_no_file():
    with pytest.raises(ValueError, match="^here: knobs: b: expected a number, got None$"):
        fit("here", {"points": [], "knobs": {"b": None}}, Shape)
