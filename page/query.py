"""OSCQuery on the page's port: what a control surface asks before it lays itself out.

    GET /?HOST_INFO          where OSC is to be sent, and what is supported here
    GET /, GET /part/1       the tree from there on, with types, ranges and values, as JSON
    GET /part/1/pan?VALUE    one attribute

A WebSocket at / tells changes. The surface sends {"COMMAND": "LISTEN", "DATA": "/part/1/pan"}, gets
the value that stands, and then each new one, as OSC messages in binary; "IGNORE" ends it. Values of
parts can be listened to; everything else is told by /notify, over OSC.

Browsers, which ask for HTML, get the page at `/`.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from daw_bridge.commands.actions import Session
from daw_bridge.commands.query import ATTRIBUTES, Node, find_node, tree
from daw_bridge.commands.table import COMMANDS
from daw_bridge.osc.changes import Changes
from daw_bridge.osc.packet import encode

HOST_INFO = "HOST_INFO"
ROOTS = sorted({command.address.split("/")[1] for command in COMMANDS if not command.alias_of})
LISTEN, IGNORE = "LISTEN", "IGNORE"
LOOK_S = 0.05
"""How often it is looked for changes: automation at any rate becomes so many messages a second."""
MOST_LISTENERS = 16
MOST_LISTENED = 4_096
"""Addresses of one listener: more than all parts have."""
TRY_LATER = 1013
"""The code that a WebSocket is closed with when there are too many."""


class Query:
    """Answers OSCQuery. osc: where the server listens, None if it does not; index: the page."""

    def __init__(self, session: Session, osc: tuple[str, int] | None, index: Path) -> None:
        self._session, self._osc, self._index = session, osc, index
        self._listeners = 0

    def routes(self) -> list[BaseRoute]:
        """The paths that are addresses of OSC."""
        below = [
            Route(path, self._answer)
            for root in ROOTS
            for path in (f"/{root}", f"/{root}/{{_:path}}")
        ]
        return [Route("/", self._root), WebSocketRoute("/", self._listen), *below]

    async def _root(self, request: Request) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "text/html")
        if HOST_INFO in request.query_params:
            return JSONResponse(self._host_info())
        return FileResponse(self._index) if wants_page else await self._answer(request)

    async def _answer(self, request: Request) -> Response:
        if HOST_INFO in request.query_params:
            return JSONResponse(self._host_info())
        node = find_node(tree(self._session), request.url.path)
        if node is None:
            return JSONResponse({"error": f"{request.url.path[:200]}: no such address"}, 404)
        asked = [name for name in request.query_params if name != "token"]
        if not asked:
            return JSONResponse(node)
        if asked[0] not in ATTRIBUTES:
            known = ", ".join((HOST_INFO, *ATTRIBUTES))
            return JSONResponse({"error": f"{asked[0][:200]}: expected one of {known}"}, 400)
        # As OSCQuery says: an attribute that an address has not is no content.
        return JSONResponse({asked[0]: node[asked[0]]}) if asked[0] in node else Response(None, 204)

    async def _listen(self, socket: WebSocket) -> None:
        if self._listeners == MOST_LISTENERS:
            return await socket.close(TRY_LATER)
        self._listeners += 1
        listener = _Listener(socket, Changes(self._session))
        telling = None
        try:
            await socket.accept()
            telling = asyncio.create_task(listener.tell())
            await listener.obey()
        except (WebSocketDisconnect, RuntimeError):
            pass  # it went away while something was sent
        finally:
            self._listeners -= 1
            if telling:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)

    def _host_info(self) -> Node:
        info: Node = {
            "NAME": "melstream",
            "EXTENSIONS": dict.fromkeys((*ATTRIBUTES, LISTEN), True),
        }
        if self._osc is not None:
            host, port = self._osc
            info |= {"OSC_IP": host, "OSC_PORT": port, "OSC_TRANSPORT": "UDP"}
        return info


class _Listener:
    """One surface that listens to some addresses."""

    def __init__(self, socket: WebSocket, changes: Changes) -> None:
        self._socket, self._changes = socket, changes
        # Now: what it listens to first is answered by how things stand, and not told as a change.
        changes.look_at_parts()
        self._addresses: set[str] = set()

    async def obey(self) -> None:
        """Do what it says until it is gone. OSCQuery has no errors: what means nothing is left."""
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            match _command(message.get("text") or ""):
                case (str(command), str(address)) if command == LISTEN:
                    if len(self._addresses) < MOST_LISTENED:
                        self._addresses.add(address)
                    if address in self._changes.told:
                        await self._send(address)
                case (str(command), str(address)) if command == IGNORE:
                    self._addresses.discard(address)

    async def tell(self) -> None:
        """Tell what changes, until it is cancelled or the surface is gone."""
        while True:
            for address in self._changes.look_at_parts():
                if address in self._addresses:
                    await self._send(address)
            await asyncio.sleep(LOOK_S)

    async def _send(self, address: str) -> None:
        await self._socket.send_bytes(encode(address, *self._changes.told[address]))


def _command(text: str) -> tuple[object, object] | None:
    """COMMAND and DATA of a message, None if it has none."""
    try:
        said = json.loads(text)
        return said["COMMAND"], said["DATA"]
    except (ValueError, RecursionError, TypeError, LookupError):
        return None
