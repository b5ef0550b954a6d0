"""Knobs come to an embedding and a level; a setting is a value."""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType

import pytest

from daw_bridge.desk.settings import Settings

DIRECTIONS = {"brightness": (1.0, 0.0), "breath": (0.5, -2.0)}


def settings(**changed) -> Settings:
    knobs = MappingProxyType(changed.pop("knobs", {"brightness": 0.5, "breath": 0.5}))
    base = (1.0, 2.0)
    return Settings("a", "b", base, knobs, -3.0, 0.0, home=base, home_knobs=knobs, **changed)


def test_knobs_at_the_middle_leave_the_base():
    assert settings().effective(DIRECTIONS) == (1.0, 2.0)


def test_knobs_add_up_along_their_directions():
    turned = settings().with_knob("brightness", 1.0).with_knob("breath", 0.0)
    assert turned.effective(DIRECTIONS) == pytest.approx((1.0 + 0.5 - 0.25, 2.0 + 1.0))
    assert settings().effective(DIRECTIONS) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("volume", "expression", "expected"),
    [(100, 127, 0.0), (127, 127, 4.15), (50, 127, -12.04), (100, 64, -11.91), (0, 127, -math.inf)],
)
def test_volume_100_and_full_expression_are_0_db(volume, expression, expected):
    level = settings(volume=volume, expression=expression).level_db
    assert level == pytest.approx(-3.0 + expected, abs=0.01)


def test_the_level_stops_at_24_db():
    assert replace(settings(), gain_db=24.0, volume=127).level_db == 24.0


def test_a_morph_lies_on_the_line_and_meets_its_ends():
    a = settings(knobs={"brightness": 0.0, "breath": 0.5})
    b = settings(knobs={"brightness": 1.0, "breath": 0.5}).with_base((3.0, -2.0))
    b = replace(b, gain_db=3.0, pan=1.0)
    half = settings().between(a, b, 0.25)
    assert half.embedding == (1.5, 1.0)
    assert half.knobs["brightness"] == 0.25
    assert half.gain_db == -1.5
    assert half.pan == 0.0
    assert settings().between(a, b, 0).embedding == a.embedding
    assert settings().between(a, b, 1).embedding == b.embedding
