from __future__ import annotations

import numba

from synth.compiling import compiling_shown


def test_what_is_compiled_is_told_by_name_and_only_once(capsys):
    @numba.njit
    def _doubled(x):
        return 2 * x

    with compiling_shown():
        assert _doubled(3) == 6
    said = capsys.readouterr().err
    assert "compiling" in said and "doubled" in said and "1 functions" in said
    with compiling_shown():
        assert _doubled(4) == 8
    assert capsys.readouterr().err == ""


def test_functions_that_others_call_count_too(capsys):
    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return inner(x) * 2

    with compiling_shown():
        outer(1)
    said = capsys.readouterr().err
    assert "inner" in said and "outer" in said and "2 functions" in said
