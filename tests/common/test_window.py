"""The contract between bridge and synth."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from common.window import HIGHEST_KEY, KEYS, LOWEST_KEY, ROLL_CHANNELS, Window


def test_a_span_is_those_frames_of_every_field():
    frames = np.arange(10)
    window = Window(3, *(np.stack([frames] * n, 1) for n in (ROLL_CHANNELS, 2, 2)), frames, frames)
    span = window.span(5, 3)
    assert span.part == 3
    for field in (span.roll, span.embedding, span.gain, span.bend, span.cut):
        assert len(field) == 3 and (field.reshape(3, -1)[:, 0] == [5, 6, 7]).all()


def test_the_keys_are_a_piano_s():
    assert (LOWEST_KEY, HIGHEST_KEY, KEYS) == (21, 108, 88)


def test_what_is_common_loads_neither_torch_nor_numba():
    code = (
        "import sys, pkgutil, importlib, common\n"
        "for room in pkgutil.iter_modules(common.__path__):\n"
        "    importlib.import_module(f'common.{room.name}')\n"
        "print([name for name in ('torch', 'numba', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
