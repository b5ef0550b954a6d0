"""What the server has to say beside its banner: one line for each event, on stderr.

Lines are written by a thread of their own: a terminal that is paused, or a full pipe, must not stop
whoever has something to say, the renderer least of all.
"""

from __future__ import annotations

import atexit
import json
import logging
import logging.handlers
import queue
import sys
from contextlib import suppress
from typing import Literal

from common.checks import printable

Level = Literal["debug", "info", "warning", "error"]
Form = Literal["text", "json"]
LAST_S = 2.0
"""How long the end of the program waits for what was said last to be written."""
MOST_WAITING = 10_000
"""Lines that wait for a terminal that is paused; more are dropped."""


class _Lines(logging.Formatter):
    """melstream: MESSAGE, and the level where it is not a warning. Codes that a terminal would obey
    are written out: names of files may hold them."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.WARNING else f"{record.levelname.lower()}: "
        return f"melstream: {level}{printable(record.getMessage())}" + _traceback(self, record)


class _Objects(logging.Formatter):
    """A JSON object: time in seconds since 1970, level, where in the program, and the message."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, str | float] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "where": record.name,
            "message": record.getMessage(),
        }
        if text := _traceback(self, record):
            told["traceback"] = text.strip()
        return json.dumps(told)


class _Queue(logging.handlers.QueueHandler):
    """Hands records on as they are: they are made into text by the thread that writes them."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # Arguments may change until then.
        record.msg, record.args = record.getMessage(), ()
        return record

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop what there is no room for."""


class _Writer(logging.handlers.QueueListener):
    """Writes the records of a queue; the end of a program waits for it, but not for ever."""

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            with suppress(queue.Full):
                self.enqueue_sentinel()
            thread.join(LAST_S)


def start_logging(level: Level = "warning", form: Form = "text") -> None:
    """From now on, write what is logged at this level or above. May be called again."""
    writer = logging.StreamHandler(sys.stderr)
    writer.setFormatter(_Objects() if form == "json" else _Lines())
    lines: queue.Queue[logging.LogRecord] = queue.Queue(MOST_WAITING)
    listener = _Writer(lines, writer)
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Queue)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(_Queue(lines))
    root.setLevel(level.upper())
    listener.start()
    # What was said last is written before the program ends.
    atexit.register(listener.stop)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return "\n" + formatter.formatException(record.exc_info) if record.exc_info else ""
