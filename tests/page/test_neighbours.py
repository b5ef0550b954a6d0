"""The map of a bank of a hundred patches in ten dimensions, where neighbours sound alike."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from playwright.sync_api import expect

from synth.bank.bank import load_bank
from tests.alone import own_port
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

FAR = """async ([module, anchors, points]) => {
  const { neighbourMap } = await import(module);
  const map = neighbourMap(anchors);
  return [map.spans, points.map((embedding) => map.flat(embedding))];
}"""
"""The ends of a map, and where it finds embeddings."""

ODD = """async ([module, size]) => {
  const { planeOf } = await import(module);
  const names = ["a", "b", "c", "constructor"];
  const patches = names.map((name, i) => ({ name, embedding: Array(size).fill(i) }));
  const places = { a: [0, 0], b: [1, 0], c: [0, 1] };
  return planeOf(patches, Array(size).fill([-1, 1]), [], places).spans;
}"""
"""The ends of a map beside which there is a patch that JavaScript's objects have, too."""

SYNC = """async (gain) => {
  const { link } = await import("/link.js");
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  link.send("/part/1/gain_db", gain);
}"""
"""Tells the server something after all that the page had to tell."""


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
        assert not opened.errors


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


def test_no_embedding_is_off_the_map(tabs: Tabs, server: PagedServer):
    bank = load_bank(BANK)
    low, high = np.array(bank.span).T
    random = np.random.default_rng(0)
    points = random.uniform(low, high, (300, len(low)))
    anchors = [
        {"at": bank.places[name], "embedding": bank.patch(name).embedding} for name in bank.names
    ]
    module = server.url.split("?")[0] + "neighbours.js"
    spans, found = tabs.open(server.url).evaluate(FAR, [module, anchors, points.tolist()])
    first, last = np.array(spans).T
    assert (np.array(found) >= first).all() and (np.array(found) <= last).all()


def test_a_patch_of_any_name_leaves_the_map_as_it_is(tabs: Tabs, server: PagedServer):
    module = server.url.split("?")[0] + "plane.js"
    spans = tabs.open(server.url).evaluate(ODD, [module, 10])
    assert spans == [pytest.approx([-0.08, 1.08])] * 2


def test_arrow_keys_end_at_the_edge(tabs: Tabs, server: PagedServer):
    tab = tabs.open(server.url)
    box = tab.locator("#map").bounding_box()
    assert box
    tab.mouse.click(box["x"] + box["width"] - 2, box["y"] + 0.4 * box["height"])
    tab.evaluate(SYNC, -3)
    wait_until(lambda: server.ask("/part/1/gain_db") == [-3])
    edge = server.ask("/part/1/timbre")
    tab.locator("#map").focus()
    tab.keyboard.press("ArrowRight")
    tab.evaluate(SYNC, -4)
    wait_until(lambda: server.ask("/part/1/gain_db") == [-4])
    assert server.ask("/part/1/timbre") == edge
    tab.keyboard.press("ArrowLeft")
    wait_until(lambda: server.ask("/part/1/timbre") != edge)


def test_a_page_has_the_map_of_the_bank_that_the_server_has_now(tabs: Tabs, tmp_path: Path):
    other = tmp_path / "other"
    shutil.copytree(BANK, other)
    content = yaml.safe_load((BANK / "bank.yaml").read_text())
    places = content["places"]
    places["violin"], places["timpani"] = places["timpani"], places["violin"]
    (other / "bank.yaml").write_text(yaml.safe_dump(content))
    address = f"127.0.0.1:{own_port()}"
    with PagedServer("--bank", str(BANK), "--http", address) as server:
        tab = tabs.open(server.url)
        assert server.stop()[0] == 0
    expect(tab.locator("body")).to_have_class("lost")
    with PagedServer("--bank", str(other), "--http", address) as server:
        expect(tab.locator("body")).not_to_have_class("lost")
        expect(tab.locator("#bank")).to_have_text("other")
        root = server.url.split("?")[0]
        x, y = tab.evaluate(SCREEN, [root + "plane.js", root + "map-draw.js", "violin"])
        tab.locator("#map").click(position={"x": x, "y": y})
        wait_until(lambda: server.ask("/part/1/patch") == ["violin"])
