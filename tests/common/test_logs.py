"""Logs: a line or an object for each event, and nobody waits for a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time


def logged(*arguments: str) -> list[str]:
    """What a program writes that logs at each level, an exception among them."""
    script = f"""
    import logging
    from common.logs import start_logging
    start_logging()
    start_logging(*{arguments!r})
    log = logging.getLogger("a.room")
    things = ["one"]
    log.warning("a %s", things)
    things.append("two")
    log.info("b\\x1b[31m")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("c")
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not ended.stdout
    return ended.stderr.splitlines()


def test_a_line_for_each_event():
    lines = logged()
    assert lines[:3] == [
        "melstream: a ['one']",
        "melstream: error: c",
        "Traceback (most recent call last):",
    ]
    assert logged("info")[1] == "melstream: info: b\\x1b[31m"
    assert logged("error")[0] == "melstream: error: c"


def test_an_object_for_each_event():
    before = time.time()
    told = [json.loads(line) for line in logged("debug", "json")]
    assert [(t["level"], t["where"], t["message"]) for t in told] == [
        ("warning", "a.room", "a ['one']"),
        ("info", "a.room", "b\x1b[31m"),
        ("error", "a.room", "c"),
    ]
    assert before - 0.001 < told[0]["time"] < time.time() + 0.001
    assert "ZeroDivisionError" in told[2]["traceback"] and "traceback" not in told[0]


def test_nobody_waits_for_a_reader_that_stands_still():
    script = """
    import logging, os
    from common.logs import MOST_WAITING, start_logging
    start_logging()
    for number in range(2 * MOST_WAITING):
        logging.warning("%d %s", number, "x" * 100)
    print("done", flush=True)
    os._exit(0)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        # Nobody reads stderr, whose pipe holds far less.
        assert process.stdout.read() == b"done\n"
