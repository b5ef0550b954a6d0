"""Who may speak to the page's server: checked before anything else looks at a request.

A page of another site, open in the same browser, can reach 127.0.0.1 too. Its requests carry its
own name: in Origin, or in Host where it has let its name point here (DNS rebinding). Both are
refused. Where other machines can connect, a token must come along: in the address at first, then in
a cookie.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from page.address import is_loopback

COOKIE = "melstream"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
METRICS = "/metrics"
"""What programs read that know no cookies: their token stays in the address."""
REFUSED = 4403
"""The code that a WebSocket is closed with, after HTTP's 403."""


class Guard:
    """Lets requests through to `app`, or refuses them with one line.

    token: "" if only this machine can connect; then Host must be one of its own names.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        problem = self._problem(HTTPConnection(scope), asked)
        if scope["type"] == "websocket":
            if problem:
                await send({"type": "websocket.close", "code": REFUSED, "reason": problem})
            else:
                await self._app(scope, receive, send)
        elif problem:
            await PlainTextResponse(problem + "\n", 403)(scope, receive, send)
        elif self._token and asked and scope["path"] != METRICS:
            # The token must not stay in the address bar, where screenshots show it.
            response = RedirectResponse(scope["path"], 303)
            response.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _problem(self, request: HTTPConnection, asked: str) -> str:
        """Why a request is refused, "" if it is not."""
        host = request.headers.get("host", "")
        if not self._token and not _is_here(_name(host)):
            return "host: expected localhost or a loopback address, such as 127.0.0.1"
        origin = request.headers.get("origin")
        # Programs other than browsers send none; they could speak OSC just as well.
        if origin is not None and origin != f"http://{host}":
            return "origin: this server answers only its own page"
        if self._token and not any(
            hmac.compare_digest(self._token.encode(), given.encode())
            for given in (asked, request.cookies.get(COOKIE, ""))
        ):
            return "token: missing or wrong; open the address that the server printed"
        return ""


def _name(host: str) -> str:
    """A Host header without its port.

    >>> _name("localhost:8000"), _name("[::1]:8000"), _name("example.org")
    ('localhost', '[::1]', 'example.org')
    """
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdecimal() else host


def _is_here(name: str) -> bool:
    """Whether a name without a port always means this machine: DNS cannot change what it means.

    >>> [_is_here(name) for name in ("localhost", "127.0.1.1", "[::1]", "127.0.0.1.example.org")]
    [True, True, True, False]
    """
    try:
        return name == "localhost" or is_loopback(name.strip("[]"))
    except ValueError:  # it is no number
        return False


def _with_headers(send: Send) -> Send:
    """Adds what every answer says."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return sent
