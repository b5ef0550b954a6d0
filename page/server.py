"""The page's server: uvicorn with an event loop in a thread of its own.

It shares nothing with the render thread but the tap and the counters, so that it can be slow or
stand still without a gap in the sound.
"""

from __future__ import annotations

import asyncio
import logging
import threading

import uvicorn

from page.address import Bound
from page.app import LONGEST_MESSAGE, Application

WAITING_MESSAGES = 256
"""Messages of one page that may wait to be read."""
CLOSE_S = 1
"""How long open connections may take to end."""

_log = logging.getLogger(__name__)


class PageServer:
    """Serves an application on a listening socket, from construction to `close`."""

    def __init__(self, application: Application, bound: Bound) -> None:
        self.bound = bound
        self._application = application
        config = uvicorn.Config(
            application.guarded(bound.token),
            http="h11",
            ws="websockets-sansio",
            ws_max_size=LONGEST_MESSAGE,
            ws_max_queue=WAITING_MESSAGES,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_S,
        )
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Blocks and columns that slow pages have missed."""
        return self._application.dropped

    @property
    def refused(self) -> int:
        """Messages of pages that were answered with an error."""
        return self._application.refused

    def close(self) -> None:
        """End all connections and free the port. May be called again."""
        self._server.should_exit = True
        self._thread.join()
        self.bound.socket.close()

    async def _run(self) -> None:
        await self._server.serve(sockets=[self.bound.socket])
        self._application.end()

    def _serve(self) -> None:
        try:
            asyncio.run(self._run())
        except Exception:
            # The instrument plays on without its page.
            _log.exception("the page's server has ended")
