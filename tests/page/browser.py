"""A headless Chromium and a real server, for tests of the page as a user meets it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from playwright.sync_api import Page as Tab

from tests.server import Server
from tests.waiting import PATIENCE_S

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    not CHROMIUM, reason="needs Chromium (apt: chromium), or its path in CHROMIUM"
)
PATIENCE_MS = 1000 * PATIENCE_S
"""A busy machine may take seconds for what takes milliseconds."""
BROWSER_MS = 5 * PATIENCE_MS
"""How long a browser may take to start."""

HEAR = """async ([module, samples, patience]) => {
  const { listener } = await import(module);
  const end = performance.now() + patience;
  const wait = () => {
    if (performance.now() > end) throw new Error("nothing was heard");
    return new Promise((again) => setTimeout(again, 20));
  };
  while (!listener.node) await wait();
  const { context, node } = listener;
  const ear = new AnalyserNode(context, { fftSize: samples });
  node.connect(ear);
  const heard = new Float32Array(samples);
  const loud = () => {
    ear.getFloatTimeDomainData(heard);
    const sounds = (from) => heard.slice(from, from + 256).some((x) => Math.abs(x) > 1e-3);
    return heard.every((_, i) => i % 256 || sounds(i));
  };
  while (!loud()) await wait();
  node.disconnect(ear);
  return [context.sampleRate, Array.from(heard)];
}"""
"""Waits until the whole of an analyser's window is filled with sound that the worklet plays."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that may play sound without being clicked first."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=flags, timeout=BROWSER_MS
        )
        try:
            yield browser
        finally:
            browser.close()


class PagedServer(Server):
    """A server with a page on a free port. url: of the page, without a token."""

    def __init__(self, *flags: str) -> None:
        super().__init__("--http", "127.0.0.1:0", *flags)
        line = next(line for line in self.lines if line.startswith("page "))
        self.url = line.split()[1]


class Tabs:
    """Pages in tabs of their own, which end together. errors: what failed in them."""

    def __init__(self, browser: Browser) -> None:
        self.errors: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def open(self, url: str, width: int = 1280, height: int = 800) -> Tab:
        """The page, once it knows the instrument."""
        context = self._browser.new_context(viewport={"width": width, "height": height})
        self._contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE_MS)
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.goto(url)
        tab.wait_for_selector("#patches li[aria-selected=true]", state="attached")
        return tab

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def hear(tab: Tab, samples: int = 8_192) -> tuple[int, np.ndarray]:
    """Rate and samples (samples,) of what the tab's AudioWorklet plays, once it is sound."""
    rate, heard = tab.evaluate(HEAR, ["/listen.js", samples, PATIENCE_MS])
    return rate, np.array(heard, np.float32)
