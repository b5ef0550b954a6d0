"""Where patches lie on a map, and its picture."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from trainer.bank.embedding_map import draw_map, flatten, place_patches

PNG = b"\x89PNG"


def named(count: int) -> list[str]:
    return [f"p{i}" for i in range(count)]


def test_without_matplotlib_there_is_no_picture(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not draw_map(tmp_path / "map.png", ["a"], np.zeros((1, 2)), {})


def test_a_map_is_turned_to_where_patches_differ_most():
    line = np.zeros((5, 4))
    line[:, 3] = np.arange(5)
    flat, kept = flatten(line)
    assert flat.shape == (5, 2) and kept == pytest.approx(1.0)
    assert np.ptp(flat[:, 0]) == pytest.approx(4.0) and np.ptp(flat[:, 1]) == pytest.approx(0.0)
    cloud = np.random.default_rng(0).normal(size=(50, 10))
    assert flatten(cloud)[0].shape == (50, 2) and 0.2 < flatten(cloud)[1] < 0.6


@pytest.mark.parametrize(("count", "size"), [(1, 1), (1, 2), (1, 5), (3, 2), (40, 10)])
def test_any_number_of_patches_in_any_dimension_is_drawn(count, size, tmp_path):
    pytest.importorskip("matplotlib")
    points = np.random.default_rng(0).normal(size=(count, size))
    assert draw_map(tmp_path / "map.png", named(count), points, {})
    assert (tmp_path / "map.png").read_bytes().startswith(PNG)


def test_neighbours_of_many_coordinates_stay_neighbours():
    pytest.importorskip("sklearn")
    random = np.random.default_rng(0)
    # Twenty pairs: far from each other, each close together.
    points = np.repeat(random.normal(size=(20, 10)), 2, axis=0)
    points += 0.05 * random.normal(size=points.shape)
    places = place_patches(named(40), points)
    assert list(places) == named(40)
    flat = np.array(list(places.values()))
    assert flat.min() == 0 and flat.max() == 1
    away = np.hypot(*(flat[:, None] - flat[None]).transpose(2, 0, 1)) + np.eye(40)
    assert (away.argmin(1) == np.arange(40) ^ 1).mean() > 0.9
    assert place_patches(named(40), points) == places


@pytest.mark.parametrize(("count", "size"), [(40, 2), (4, 10)])
def test_few_coordinates_or_patches_have_no_places(count, size):
    assert place_patches(named(count), np.random.default_rng(0).normal(size=(count, size))) == {}


def test_patches_at_one_point_have_no_places():
    assert place_patches(named(40), np.ones((40, 10))) == {}


def test_a_map_is_drawn_by_its_places(tmp_path):
    pytest.importorskip("matplotlib")
    points = np.random.default_rng(0).normal(size=(3, 10))
    drawn = []
    for turn, places in enumerate(([[0, 0], [1, 0], [0, 1]], [[0, 0], [0, 1], [1, 0]])):
        path = tmp_path / f"map{turn}.png"
        assert draw_map(path, named(3), points, dict(zip(named(3), places, strict=True)))
        drawn.append(path.read_bytes())
    assert drawn[0] != drawn[1]
