from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from synth.output.ring import Ring


def counted(start: int, stop: int, channels: int = 2) -> np.ndarray:
    return np.arange(start, stop, dtype=np.float32)[:, None].repeat(channels, 1)


def test_takes_what_fits_and_never_overwrites_unread_samples():
    ring = Ring(capacity=8)
    assert ring.write(counted(0, 6)) == 6
    assert ring.write(counted(6, 12)) == 2
    assert ring.write(counted(8, 12)) == 0
    assert (ring.filled, ring.room) == (8, 0)
    out = np.full((10, 2), -1, np.float32)
    assert ring.read_into(out) == 8
    np.testing.assert_array_equal(out, np.concatenate([counted(0, 8), [[-1, -1]] * 2]))
    assert (ring.filled, ring.room) == (0, 8)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_order_survives_the_wrap_at_every_offset(channels):
    ring, sent, heard = Ring(capacity=7, channels=channels), 0, []
    for size in [1, 5, 3, 7, 2, 6, 4] * 7:
        sent += ring.write(counted(sent, sent + size, channels))
        out = np.empty((size, channels), np.float32)
        heard.append(out[: ring.read_into(out)])
    np.testing.assert_array_equal(np.concatenate(heard), counted(0, sent, channels))


@pytest.mark.parametrize(("write_size", "read_size"), [(1, 64), (37, 16), (128, 100), (300, 7)])
def test_two_threads_lose_and_repeat_nothing(write_size, read_size, request):
    # Threads change places in the midst of nearly every call.
    usual = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(usual))
    sys.setswitchinterval(1e-5)
    ring, total = Ring(capacity=101), 20_000

    def write():
        sent = 0
        while sent < total:
            sent += ring.write(counted(sent, min(sent + write_size, total)))

    writer = threading.Thread(target=write)
    writer.start()
    heard, got = np.empty((total, 2), np.float32), 0
    while got < total:
        got += ring.read_into(heard[got : got + read_size])
    writer.join()
    np.testing.assert_array_equal(heard, counted(0, total))
    assert ring.filled == 0


@pytest.mark.parametrize(("capacity", "channels"), [(0, 2), (4, 0)])
def test_refuses_an_empty_shape(capacity, channels):
    with pytest.raises(ValueError, match=f"capacity {capacity} and channels {channels}"):
        Ring(capacity, channels)
