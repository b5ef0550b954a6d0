"""Bins of fine bands: below 8 kHz as they are, above as loud as their bands say."""

from __future__ import annotations

import numpy as np
import torch

from synth.mel import FLOOR, Analysis, fold, wide_edges
from synth.vocoders.spectral.spread import Spread

BANDED = Analysis(rate=48_000, hop=384, window=3_072, wide_bands=48)
SINGLE = BANDED.single
QUIET = np.log(np.float32(FLOOR))


def frames(count: int, seed: int) -> np.ndarray:
    """Log magnitudes (count, bands) between -60 and -20 dB."""
    return np.random.default_rng(seed).uniform(-7, -2.3, (count, BANDED.bands)).astype(np.float32)


def test_bins_are_as_loud_as_their_bands():
    bands = frames(5, 0)
    bins = Spread(BANDED)(bands)
    assert bins.shape == (5, BANDED.bins)
    again = fold(torch.from_numpy(bins).exp(), BANDED).log().numpy()
    np.testing.assert_allclose(again, bands, atol=1e-4)
    assert np.array_equal(bins[:, :SINGLE], bands[:, :SINGLE])


def test_the_octave_below_lends_its_shape():
    bands = np.full((1, BANDED.bands), -6.0, np.float32)
    bands[0, SINGLE // 2 + 100] = -2.0
    bins = Spread(BANDED)(bands)[0]
    edges = wide_edges(BANDED)
    for peak in range(SINGLE + 100, BANDED.bins - 1, SINGLE // 2):
        band = int(np.searchsorted(edges, peak, "right")) - 1
        assert int(bins[edges[band] : edges[band + 1]].argmax()) + edges[band] == peak


def test_a_silent_band_is_silent_whatever_is_below_and_the_other_way_round():
    bands = np.full((2, BANDED.bands), QUIET, np.float32)
    bands[0, :SINGLE] = -3.0
    bands[1, SINGLE + 7] = -3.0
    bins = Spread(BANDED)(bands)
    assert (bins[0, SINGLE:] == QUIET).all()
    first, stop = wide_edges(BANDED)[7:9]
    np.testing.assert_allclose(bins[1, first:stop], -3.0, atol=1e-5)
    assert (np.delete(bins[1], np.arange(first, stop)) == QUIET).all()
