"""The map of a bank of a hundred patches in ten dimensions, where neighbours sound alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from synth.bank.bank import load_bank
from tests.page.browser import PagedServer, Tabs, chromium, needs_chromium
from tests.waiting import wait_until

pytestmark = needs_chromium
BANK = Path(__file__).parents[2] / "patches" / "gm100"

TRY = """async ([module, anchors, points]) => {
  const { neighbourMap } = await import(module);
  const map = neighbourMap(anchors);
  return points.map((at) => {
    const embedding = map.lifted(at);
    return [embedding, map.flat(embedding)];
  });
}"""
"""Of points of a map: what they stand for, and where the map finds that again."""

SCREEN = """async ([plane, draw, name]) => {
  const { planeOf } = await import(plane);
  const { toScreen } = await import(draw);
  const { store } = await import("/store.js");
  const map = planeOf(store.patches, store.hello.reach, [], store.hello.places);
  const { clientWidth, clientHeight } = document.getElementById("map");
  return toScreen(map, map.flat(store.patch(name).embedding), clientWidth, clientHeight);
}"""
"""Where a patch lies on the map, in pixels."""


@pytest.fixture(scope="module")
def server() -> Iterator[PagedServer]:
    with PagedServer("--bank", str(BANK)) as served:
        yield served


@pytest.fixture
def tabs() -> Iterator[Tabs]:
    with chromium() as browser:
        opened = Tabs(browser)
        yield opened
        opened.close()


def test_a_map_leads_to_each_patch_and_runs_evenly_between_them(tabs: Tabs, server: PagedServer):
    bank = load_bank(BANK)
    assert set(bank.places) == set(bank.names)
    names = bank.names
    points = np.array([bank.patch(name).embedding for name in names])
    places = np.array([bank.places[name] for name in names])
    anchors = [
        {"at": at.tolist(), "embedding": point.tolist()}
        for at, point in zip(places, points, strict=True)
    ]
    tab = tabs.open(server.url)
    way = np.linspace(places[names.index("violin")], places[names.index("trumpet")], 400)
    asked = np.concatenate([places, way])
    module = server.url.split("?")[0] + "neighbours.js"
    told = tab.evaluate(TRY, [module, anchors, asked.tolist()])
    lifted, flat = (np.array(x) for x in zip(*told, strict=True))
    np.testing.assert_allclose(lifted[: len(names)], points, atol=1e-9)
    np.testing.assert_allclose(flat[: len(names)], places, atol=1e-9)
    # Between patches nothing leaps, and no coordinate leaves what its neighbours span.
    steps = np.linalg.norm(np.diff(lifted[len(names) :], axis=0), axis=1)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2).max()
    assert steps.max() < 0.05 * apart
    assert (lifted >= points.min(0) - 1e-9).all() and (lifted <= points.max(0) + 1e-9).all()
    # What the map made is found again near where it was made.
    assert np.median(np.linalg.norm(flat - asked, axis=1)) < 0.01


def test_the_puck_goes_from_patch_to_patch(tabs: Tabs, server: PagedServer):
    server.send("/part/1/patch", "violin")
    tab, bank = tabs.open(server.url), load_bank(BANK)
    root = server.url.split("?")[0]
    modules = [root + "plane.js", root + "map-draw.js"]
    box = tab.locator("#map").bounding_box()
    assert box

    def place(name: str) -> tuple[float, float]:
        x, y = tab.evaluate(SCREEN, [*modules, name])
        return box["x"] + x, box["y"] + y

    tab.mouse.move(*place("violin"))
    tab.mouse.down()
    tab.mouse.move(*place("trumpet"), steps=8)
    tab.mouse.up()
    wanted = bank.patch("trumpet").embedding
    wait_until(lambda: server.ask("/part/1/timbre") == pytest.approx(wanted, abs=0.05))
