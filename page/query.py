"""OSCQuery on the page's port: what a control surface asks before it lays itself out.

    GET /?HOST_INFO          where OSC is to be sent, and what is supported here
    GET /, GET /part/1       the tree from there on, with types, ranges and values, as JSON
    GET /part/1/pan?VALUE    one attribute

Browsers, which ask for HTML, get the page at `/`. Changes are not told here but over OSC: /notify.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from daw_bridge.commands.actions import Session
from daw_bridge.commands.query import ATTRIBUTES, Node, find_node, tree
from daw_bridge.commands.table import COMMANDS

HOST_INFO = "HOST_INFO"
ROOTS = sorted({command.address.split("/")[1] for command in COMMANDS if not command.alias_of})


class Query:
    """Answers OSCQuery. osc: where the server listens, None if it does not; index: the page."""

    def __init__(self, session: Session, osc: tuple[str, int] | None, index: Path) -> None:
        self._session, self._osc, self._index = session, osc, index

    def routes(self) -> list[Route]:
        """The paths that are addresses of OSC."""
        below = [
            Route(path, self._answer)
            for root in ROOTS
            for path in (f"/{root}", f"/{root}/{{_:path}}")
        ]
        return [Route("/", self._root), *below]

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

    def _host_info(self) -> Node:
        info: Node = {
            "NAME": "melstream",
            "EXTENSIONS": {**dict.fromkeys(ATTRIBUTES, True), "LISTEN": False},
        }
        if self._osc is not None:
            host, port = self._osc
            info |= {"OSC_IP": host, "OSC_PORT": port, "OSC_TRANSPORT": "UDP"}
        return info
