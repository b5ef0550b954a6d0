"""Excerpts on disk: nothing lost, and the same bytes every time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trainer.tiny_data import INSTRUMENTS, make_take, write_excerpt
from trainer.data.dataset import load_excerpt
from trainer.data.storage import excerpt_bytes


@pytest.fixture
def take() -> tuple[np.ndarray, np.ndarray]:
    return make_take(np.random.default_rng(0), 3)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_both_formats_hold_the_same_excerpt(take, tmp_path, rate):
    audio, roll = take
    audio[:4] = (-32_768, 32_767, 0, -1)
    write_excerpt(tmp_path / "older.npz", audio, roll, "bell")
    (tmp_path / "newer.npz").write_bytes(excerpt_bytes(audio, roll, rate, "bell"))
    for name in ("older", "newer"):
        found = load_excerpt(tmp_path / f"{name}.npz", list(INSTRUMENTS))
        assert found.audio.dtype == np.int16 and np.array_equal(found.audio, audio)
        assert found.roll.dtype == np.uint8 and np.array_equal(found.roll, roll)
        assert found.instrument == list(INSTRUMENTS).index("bell")


def test_the_same_excerpt_is_the_same_bytes_and_fewer(take):
    audio, roll = take
    assert excerpt_bytes(audio, roll, 16_000, "bell") == excerpt_bytes(audio, roll, 16_000, "bell")
    assert len(excerpt_bytes(audio, roll, 16_000, "bell")) < 0.7 * audio.nbytes


def test_damage_is_told_by_the_files_name(take, tmp_path):
    audio, roll = take
    path, content = tmp_path / "bad.npz", excerpt_bytes(audio, roll, 16_000, "bell")
    at = content.index(b"fLaC")
    for harmed in (content[:5_000], content[:at] + b"nope" + content[at + 4 :]):
        path.write_bytes(harmed)
        with pytest.raises(ValueError, match="bad.npz: not an excerpt"):
            load_excerpt(path, list(INSTRUMENTS))
