"""What a page shows while there is too little time: of a real player that is really too slow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from playwright.sync_api import expect

from common.threads import LISTENER, be_scheduled, go_before_others, scheduling
from page.address import HttpAddress, listen
from page.measured import Gauge
from page.messages import MessageLog
from player.live import open_page
from synth.bank.bank import load_bank
from synth.instrument import Instrument
from tests.page.browser import Tabs, chromium, needs_chromium
from tests.player.test_overload import Stage, spectral, wavenet
from tests.toy_bank import GUIDED, make_toy_bank

pytestmark = needs_chromium
LINES = dict.fromkeys(("sound", "midi", "osc", "vocoder"), "")


@contextmanager
def url_of(stage: Stage, instrument: Instrument) -> Iterator[str]:
    """The address of a page that a stage's player is shown on."""
    gauge = Gauge(instrument.mel2mel, stage.player.bank.more)
    bound, way = listen(HttpAddress("127.0.0.1", 0, fixed=True)), scheduling()
    # As in a server: the renderer may wait for a thread of the page that holds the interpreter.
    go_before_others(LISTENER)
    page = open_page(stage.player, bound, MessageLog(), LINES, False, gauge)
    be_scheduled(way)
    with closing(page):
        yield bound.url


def test_the_page_tells_what_gives_way_and_that_it_is_over(tmp_path) -> None:
    bank = load_bank(make_toy_bank(tmp_path, GUIDED))
    slow = spectral(bank, step=3.0)
    with chromium() as browser, Stage(bank, slow, 4) as stage:
        stage.until(lambda: stage.player.status()["given_up"])
        tabs = Tabs(browser)
        with url_of(stage, Instrument(bank, slow)) as url:
            tab = tabs.open(url)
            notice = tab.locator("#notice li[data-kind=overload]")
            expect(notice).to_contain_text("faded out")
            tab.locator(".tabs [data-panel=mix]").click()
            # The quietest part is the first to go.
            expect(tab.locator(".strip.faded .number").first).to_have_text("1")
            assert str(stage.player.status()["faded"]).startswith("1")
            slow.costs_ms.clear()
            expect(notice).to_have_count(0)
            expect(tab.locator(".strip.faded")).to_have_count(0)
            tab.locator(".tabs [data-panel=monitor]").click()
            expect(tab.locator("#facts")).to_contain_text("over now")
            tabs.close()
        assert not tabs.errors


def test_the_page_tells_that_the_wavenet_is_left_out(tmp_path) -> None:
    bank = load_bank(make_toy_bank(tmp_path, GUIDED))
    slow = wavenet(bank, step=12.0)
    with chromium() as browser, Stage(bank, slow, 1) as stage:
        stage.until(lambda: stage.player.status()["spared"])
        tabs = Tabs(browser)
        with url_of(stage, Instrument(bank, slow)) as url:
            tab = tabs.open(url)
            notice = tab.locator("#notice")
            expect(notice).to_contain_text("spectral vocoder plays instead of the WaveNet")
            notice.locator("button").click()
            expect(notice.locator("li[data-kind=overload]")).to_be_hidden()
            tabs.close()
        assert not tabs.errors
