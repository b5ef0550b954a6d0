"""Triton's interpreter, for programs that compare kernels bit by bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from triton.runtime import interpreter

from tests.synth.streaming import Stage


def round_rows_alike() -> None:
    """Let the interpreter sum every element of a matrix product in the same order.

    It asks numpy's matrix library, which on some processors rounds a row by its place in the
    matrix. A GPU does not, and what is promised of blocks and rows could not be tested.
    """
    interpreter.InterpreterBuilder.create_dot = _create_dot


def fault(check: Callable[[Stage], None], stage: Stage) -> str:
    """What a check finds wrong, or nothing."""
    try:
        check(stage)
    except AssertionError as error:
        return str(error) or "it is not equal"
    return ""


def _create_dot(self, a, b, d, input_precision, max_num_imprecise_acc):
    """d + a @ b, as `InterpreterBuilder.create_dot` has it."""
    kind = d.data.dtype
    columns, rows = a.data.T.astype(kind), b.data.astype(kind)
    total = np.array(d.data)
    for column, row in zip(columns, rows, strict=True):
        total += column[:, None] * row
    return interpreter.TensorHandle(total, d.dtype.scalar)
