"""The map of the embedding space, drawn of a toy bank."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.__main__ import main

pytest.importorskip("matplotlib")


def test_the_map_is_one_small_picture_of_two_panels(toy_bank, tmp_path, capsys):
    from PIL import Image

    flags = ["embedding-map", "--bank", str(toy_bank), "--out", str(tmp_path / "plots")]
    assert main([*flags, "--grid", "4"]) == 0
    path = tmp_path / "plots" / "embedding.png"
    assert str(path) in capsys.readouterr().out
    assert path.stat().st_size < 100_000
    with Image.open(path) as picture:
        assert picture.width > picture.height > 300
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 32
    assert main([*flags, "--grid", "1"]) == 2
    assert "--grid: expected a whole number, 2 or more, got '1'" in capsys.readouterr().err


def test_a_space_of_many_coordinates_is_cut_by_its_patches_main_plane():
    from benchmarks.report.embedding_map import plane_of

    flat = np.array([[2.0, 0.0], [-2.0, 0.5], [0.0, -1.0], [1.0, 0.5]])
    tilt = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 2)))[0].T
    places = 0.3 + flat @ tilt
    plane = plane_of(places)
    # These five-dimensional patches lie on a plane: nothing of them is lost.
    assert np.allclose(plane.lift(plane.place(places)), places)
    assert "of 5" in plane.labels[0]
    same = plane_of(flat)
    assert np.array_equal(same.place(flat), flat)
    with pytest.raises(ValueError, match="one coordinate"):
        plane_of(flat[:, :1])
