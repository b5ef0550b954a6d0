"""Rows in a file: one on each line, rounded, and read again as they were written."""

from __future__ import annotations

import json
from datetime import date

import pytest

from benchmarks.rows import keep, read_rows, show


def test_a_kept_row_is_one_line_with_its_origin(tmp_path):
    path = tmp_path / "rows.json"
    rows = [{"name": "ä", "r": 0.123456, "speed": 48_670.117, "n": 1_234_567, "none": None}] * 2
    keep(rows, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("[", "]", 4)
    row = json.loads(lines[1].rstrip(","))
    assert row | {"name": "ä", "r": 0.1235, "speed": 48670, "n": 1_234_567, "none": None} == row
    assert row["date"] == date.today().isoformat() and {"commit", "machine"} < row.keys()
    assert read_rows(path) == [row, row]


def test_what_is_no_number_is_kept_as_nothing(tmp_path):
    keep([{"a": float("nan"), "b": float("-inf"), "c": -0.0}], tmp_path / "rows.json")
    (row,) = read_rows(tmp_path / "rows.json")
    assert (row["a"], row["b"], row["c"]) == (None, None, 0)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match="nowhere/rows.json: cannot be written"):
        keep([{"a": 1}], tmp_path / "nowhere" / "rows.json")


def test_columns_are_aligned(capsys):
    show([{"name": "a", "r": 0.5}, {"name": "long", "r": None}])
    assert capsys.readouterr().out == "name  r    \na     0.500\nlong  -    \n"
