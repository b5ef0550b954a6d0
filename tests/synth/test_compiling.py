from __future__ import annotations

import numba
import pytest

from synth.compiling import FUNCTIONS, compiling_shown


def many(count: int) -> None:
    """Compile so many functions."""
    for i in range(count):
        numba.njit(lambda x, i=i: x + i)(1)


def test_a_log_gets_a_few_plain_lines_and_only_if_something_is_compiled(capsys):
    @numba.njit
    def doubled(x):
        return 2 * x

    with compiling_shown():
        assert doubled(3) == 6
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("preparing once, about") and said[1].endswith("(1 functions)")
    with compiling_shown():
        assert doubled(4) == 8
    assert capsys.readouterr().err == ""


def test_a_log_is_told_every_quarter(capsys):
    with compiling_shown():
        many(FUNCTIONS + 3)
    said = capsys.readouterr().err
    assert "\r" not in said
    assert said.splitlines()[1:-1] == ["preparing: 25%", "preparing: 50%", "preparing: 75%"]


def test_a_terminal_shows_the_function_and_a_percentage(capsys, monkeypatch: pytest.MonkeyPatch):
    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return inner(x) * 2

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with compiling_shown():
        outer(1)
    said = capsys.readouterr().err
    assert "inner" in said and "outer" in said and "100%" in said and "2 functions" in said
