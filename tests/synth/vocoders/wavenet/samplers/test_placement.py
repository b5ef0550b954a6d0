"""Weights copied to where they are read fastest are the same weights."""

from __future__ import annotations

import numpy as np

from synth.vocoders.wavenet.samplers.placement import LINE, PLACES, copy_to_one_place, fastest_place

RANDOM = np.random.default_rng(0)
ARRAYS = [
    RANDOM.integers(-9, 9, (3, 5, 7), np.int16),
    RANDOM.random((4, 3), np.float32),
    np.arange(6, dtype=np.int64),
    np.zeros((0, 2), np.float32),
]


def test_a_place_holds_the_same_arrays_in_turn_each_from_a_lines_edge_on():
    copies = copy_to_one_place(ARRAYS)
    addresses = [copy.ctypes.data for copy in copies if copy.size]
    assert addresses == sorted(addresses) and not any(at % LINE for at in addresses)
    for copy, array in zip(copies, ARRAYS, strict=True):
        assert copy.dtype == array.dtype and np.array_equal(copy, array)
        assert copy.flags.c_contiguous and copy.flags.writeable
        assert not np.shares_memory(copy, array)


def test_the_place_kept_is_one_of_those_tried():
    tried = {}

    def use(arrays: list[np.ndarray]) -> None:
        tried[arrays[0].ctypes.data] = arrays

    kept = fastest_place(ARRAYS, use)
    assert len(tried) == PLACES
    assert tried[kept[0].ctypes.data] is kept
    assert all(map(np.array_equal, kept, ARRAYS))
