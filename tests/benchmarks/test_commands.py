"""Every command says what it measures, without its libraries."""

from __future__ import annotations

import sys

import pytest

from benchmarks.__main__ import main
from benchmarks.commands import MODULES, about


@pytest.mark.parametrize("name", MODULES)
def test_every_command_has_a_summary_and_a_docstring(name):
    summary, method = about(name)
    assert summary and len(method) > 80


def test_what_is_no_command_says_nothing():
    assert about("../run_server") == ("", "")


def test_help_lists_every_command_and_loads_none(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert not ended.value.code
    said = capsys.readouterr().out
    assert all(name in said for name in MODULES)
    assert "is every patch in tune" in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["sing"], "invalid choice: 'sing'"),
        (["tuning", "--loud"], "unrecognized arguments: --loud"),
        (["soak", "--parts", "many"], "--parts: expected a whole number, 1..16, got 'many'"),
    ],
)
def test_a_bad_flag_is_reported_in_one_line(capsys, flags, said):
    assert main(flags) == 2
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1
