"""Products with few rows: right, and the same for a row whatever stands beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.dense import TILE, add_product, tiled


@pytest.mark.parametrize("outputs", [0, 1, TILE - 1, TILE, 2 * TILE + 5])
def test_a_product_is_added_and_no_row_heeds_another(outputs: int) -> None:
    noise = torch.Generator().manual_seed(outputs)
    matrix = torch.randn(outputs, 37, generator=noise)
    x = torch.randn(9, 37, generator=noise).numpy()
    begun = torch.randn(9, outputs, generator=noise).numpy()
    tiles = tiled(matrix).numpy()
    together = begun.copy()
    add_product(tiles, x, together)
    exact = begun + x.astype(np.float64) @ matrix.numpy().astype(np.float64).T
    np.testing.assert_allclose(together, exact, atol=2e-5)
    for row in range(len(x)):
        alone = begun[row : row + 1].copy()
        add_product(tiles, x[row : row + 1], alone)
        np.testing.assert_array_equal(alone[0], together[row])
