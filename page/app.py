"""The page's web application: static files, a socket for control and one for sound.

Control, /control. The page sends a command as a JSON array, its address first, then its arguments:
["/part/1/note", 60, 100]. It gets JSON objects: {"hello": ...} first, then whatever changes
(`Follower`), {"reply": [address, values]} and {"error": [address, reason]}; and what it draws, as
binary messages of columns (`Column.packed`), each with its length before it.

Sound, /sound. The page gets binary messages: the number of the first sample, then 16-bit samples,
left and right in turn. Where there is only silence, one message without samples says so, and the
next one with samples says where the sound goes on.

Song, /song. POST with a MIDI file as its body and ?name=NAME plays it, DELETE stops it. The answer
is a JSON object, {"error": reason} if it cannot be played.

Fit, /fit. POST with a recording as its body and ?name=PATCH&file=NAME&voices=one begins to fit a
patch to it; with &score=BYTES, so many bytes of a MIDI file come before it. DELETE cancels it, and
puts it away. /fit/WHICH has the results of the latest (fits.py).

Measure, /measure. POST with a JSON list of points of the timbre space. The answer has "brightness"
and "loudness" of each, or {"error": reason}.

Metrics, /metrics. The counters of /status for Prometheus and its like (metrics.py).

Everything else that is an address of OSC is answered as OSCQuery asks (query.py).

A page that is slow or stalled gets less, and delays nobody: each has its own place in the trails,
and what it misses is counted. What reads or changes files waits for the disk in a second thread. So
does all that the page sends behind it, so that it is done and answered in order; only notes,
controllers and panic go ahead.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from common.checks import whole
from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Answer, Session
from daw_bridge.commands.command import Files
from daw_bridge.commands.console import Call, Console
from daw_bridge.commands.table import GO_AHEAD
from daw_bridge.events import PEDALS, NoteOff, Pedal
from page.columns import SILENT, Columns
from page.fits import MOST_BYTES as MOST_SOUND
from page.fits import Fits
from page.guard import Guard
from page.measured import Gauge
from page.messages import MessageLog, brief_text
from page.metrics import TYPE, metrics
from page.query import Query
from page.song import MOST_BYTES, Songs
from page.state import About, Follower
from page.tap import Tap

STATIC = Path(__file__).parent / "static"
LOOK_S = 1 / 30
"""How often a page is told what has changed, and what to draw."""
STATUS_LOOKS = 8
"""Every how many looks it is told the counters."""
SCARCE_S = 0.5
"""How often while the processor has too much to do; then nothing is drawn."""
HEAR_S, LISTEN_S = 0.004, 0.008
"""How often it is looked for new sound, while there is some and in silence: half a block and one.
Sound waits that long at most."""
BLANK_LOOKS = 8
"""Columns of silence are sent every so many looks: they only tell how the time goes."""
LONGEST_MESSAGE = 65_536
"""Bytes of a message from a page: commands are short."""
MOST_ARGUMENTS = 256
MOST_WAITING = 1_024
"""Commands of one page that wait for files."""
MOST_PAGES = 32
"""Connections at once. A page has one, and one more where it plays sound."""
TRY_LATER = 1013
"""The code that a WebSocket is closed with when there are too many."""
POSITION = struct.Struct("<d")
LENGTH = struct.Struct("<H")


Reply = tuple[str, Answer]
"""An address, and values."""


class Application:
    """Everything that the page's server answers. Only its event loop's thread calls it.

    dropped: blocks and columns that slow pages have missed; refused: messages that were answered
    with an error; both only grow, and any thread may read them.
    """

    def __init__(
        self,
        about: About,
        session: Session,
        clock: AudioClock,
        tap: Tap,
        columns: Columns,
        log: MessageLog,
        gauge: Gauge,
        fits: Fits,
    ) -> None:
        self.dropped = 0
        self.refused = 0
        self._about, self._session, self._clock = about, session, clock
        self._tap, self._columns, self._log = tap, columns, log
        self._gauge, self._fits = gauge, fits
        self._console = Console(session)
        self._songs = Songs(session, clock)

    def guarded(self, token: str) -> ASGIApp:
        """As an ASGI application that answers only its own page; token: see `Guard`."""
        routes = [
            WebSocketRoute("/control", self._control),
            WebSocketRoute("/sound", self._sound),
            Route("/song", self._play_song, methods=["POST"]),
            Route("/song", self._stop_song, methods=["DELETE"]),
            Route("/fit", self._begin_fit, methods=["POST"]),
            Route("/fit", self._cancel_fit, methods=["DELETE"]),
            Route("/fit/{which}", self._result_of_fit),
            Route("/metrics", self._metrics),
            Route("/measure", self._measure, methods=["POST"]),
            *Query(self._session, self._about.osc, STATIC / "index.html").routes(),
            Mount("/", StaticFiles(directory=STATIC, html=True)),
        ]
        return Guard(Starlette(routes=routes), token)

    def end(self) -> None:
        """End what it has begun outside. From its own thread, at the end."""
        self._fits.cancel()
        self._songs.stop()

    async def _control(self, socket: WebSocket) -> None:
        with self._watching() as begun:
            if begun is None:
                return await socket.close(TRY_LATER)
            await socket.accept()
            hands, waiting = _Hands(), _Waiting()
            filing = asyncio.create_task(self._use_files(socket, waiting))
            try:
                await _until_one_ends(self._take(socket, hands, waiting), self._tell(socket))
            finally:
                # Whoever is gone can release nothing any more.
                for event in hands.let_go(self._clock.now(), self._session.desk.reached):
                    self._session.inbox.post(event)
                # What it has had saved is saved all the same.
                waiting.end()
                await filing

    async def _sound(self, socket: WebSocket) -> None:
        with self._watching() as begun:
            if begun is None:
                return await socket.close(TRY_LATER)
            await socket.accept()
            await _until_one_ends(_until_gone(socket), self._play(socket, begun))

    async def _play_song(self, request: Request) -> Response:
        name = brief_text(request.query_params.get("name", "")) or "MIDI file"
        try:
            song = await self._songs.play(name, await _body(request, MOST_BYTES))
        except ValueError as error:
            self.refused += 1
            return JSONResponse({"error": brief_text(str(error))}, 400)
        return JSONResponse({"notes": song.notes, "drums": song.drums})

    async def _stop_song(self, request: Request) -> Response:
        self._songs.stop()
        return JSONResponse({})

    async def _begin_fit(self, request: Request) -> Response:
        asked = request.query_params
        try:
            size = whole("score", int(asked.get("score", 0)), 0, MOST_BYTES)
            body = await _body(request, MOST_SOUND + size)
            score = body[:size] if size else None
            file, voices = asked.get("file", ""), asked.get("voices", "one")
            self._fits.begin(asked.get("name", ""), file, body[size:], score, voices)
        except (ValueError, OSError) as error:
            self.refused += 1
            return JSONResponse({"error": brief_text(str(error))}, 400)
        return JSONResponse({})

    async def _cancel_fit(self, request: Request) -> Response:
        self._fits.cancel()
        return JSONResponse({})

    async def _result_of_fit(self, request: Request) -> Response:
        path = self._fits.result(request.path_params["which"])
        return Response(status_code=404) if path is None else FileResponse(path)

    async def _metrics(self, request: Request) -> Response:
        return Response(metrics(self._session.status(), self._about.version), media_type=TYPE)

    async def _measure(self, request: Request) -> Response:
        try:
            points = json.loads(await _body(request, LONGEST_MESSAGE))
            found = await asyncio.to_thread(self._gauge.measure, points)
        except (ValueError, RecursionError) as error:
            self.refused += 1
            return JSONResponse({"error": brief_text(str(error))}, 400)
        return JSONResponse(asdict(found))

    @contextmanager
    def _watching(self) -> Iterator[int | None]:
        """Counts a connection. How many blocks had come before; None if there is no room for it."""
        if self._tap.watchers == MOST_PAGES:
            yield None
            return
        begun = self._tap.trail.count
        if not self._tap.watchers:
            self._columns.skip()
        self._tap.watchers += 1
        try:
            yield begun
        finally:
            self._tap.watchers -= 1

    async def _take(self, socket: WebSocket, hands: _Hands, waiting: _Waiting) -> None:
        """Act on a page's messages until it is gone. Nothing that one says may end that earlier."""
        while (text := await _next_text(socket)) is not None:
            words: list[Any] = [""]
            answer: Reply | Exception | None
            try:
                words = command_of(text)
                call = self._console.read(words[0], words[1:])
                if waiting.must_take(call):
                    waiting.put(call, words)
                    continue
                answer = self._console.run(call, self._clock.now())
                hands.note(call)
            except Exception as error:
                answer = error
            await self._answer(socket, words, answer)

    async def _use_files(self, socket: WebSocket, waiting: _Waiting) -> None:
        """Act on what waits for files, one after the other, even when its page is gone."""
        async for call, words in waiting.calls():
            answer: Reply | Exception | None
            try:
                answer = await asyncio.to_thread(self._console.run, call, self._clock.now())
            except Exception as error:
                answer = error
            with suppress(WebSocketDisconnect, RuntimeError):
                await self._answer(socket, words, answer)

    async def _answer(
        self, socket: WebSocket, words: list[Any], answer: Reply | Exception | None
    ) -> None:
        """Tell a page what its message gave, if anything, or what was wrong with it."""
        problem, told = "", None
        if isinstance(answer, Exception):
            self.refused += 1
            text = str(answer) if isinstance(answer, ValueError) else repr(answer)
            problem = brief_text(text)
            told = {"error": [words[0], problem]}
        elif answer is not None:
            told = {"reply": [answer[0], list(answer[1])]}
        sender = f"{socket.client.host}:{socket.client.port}" if socket.client else ""
        self._log.note("page", sender, words[0], tuple(words[1:]), problem)
        if told is not None:
            await socket.send_text(json.dumps(told))

    async def _tell(self, socket: WebSocket) -> None:
        """Keep a page in step."""
        follower = Follower(
            self._about, self._session, self._log, self._songs, self._clock, self._fits
        )
        held = [(p, k, v) for p, keys in self._columns.held.items() for k, v in keys.items()]
        greeting = follower.greeting() | follower.changes() | {"held": held}
        await socket.send_text(json.dumps(greeting))
        seen, looks = self._columns.trail.count, 0
        blank = BLANK_LOOKS * LOOK_S * self._about.frame_rate
        while True:
            changes = follower.changes()
            if looks % STATUS_LOOKS == 0 or self._tap.scarce:
                changes |= follower.status()
            looks += 1
            if changes:
                await socket.send_text(json.dumps(changes))
            if self._tap.scarce:
                self._columns.skip()
                seen = self._columns.trail.count
                await asyncio.sleep(SCARCE_S)
                continue
            self._columns.catch_up()
            columns, lost = self._columns.trail.since(seen)
            if any(not column.is_blank for column in columns) or len(columns) > blank:
                seen += lost + len(columns)
                self.dropped += lost
                packed = [column.packed() for column in columns]
                await socket.send_bytes(b"".join(LENGTH.pack(len(p)) + p for p in packed))
            await asyncio.sleep(LOOK_S)

    async def _play(self, socket: WebSocket, seen: int) -> None:
        """Send a page the sound, after the first `seen` blocks."""
        silent = True
        while True:
            await asyncio.sleep(LISTEN_S if silent else HEAR_S)
            instants, lost = self._tap.trail.since(seen)
            seen += lost + len(instants)
            self.dropped += lost
            for instant in instants:
                was_silent = silent
                silent = float(np.abs(instant.sound).max(initial=0)) < SILENT
                if silent and was_silent:
                    continue
                position = POSITION.pack(instant.start)
                samples = b"" if silent else (instant.sound * 32767).astype("<i2").tobytes()
                await socket.send_bytes(position + samples)


class _Hands:
    """What a page holds down: keys and pedals."""

    def __init__(self) -> None:
        self._keys: set[tuple[int, int]] = set()
        self._pedals: set[tuple[int, int]] = set()

    def note(self, call: Call) -> None:
        """Take in a command that has been carried out."""
        match call.command.address, call.place, call.values:
            case "/part/<channel>/note", (int(part),), (int(key), float(velocity)):
                self._keys.discard((part, key))
                if round(velocity):
                    self._keys.add((part, key))
            case "/part/<channel>/cc", (int(part),), (int(number), float(value)):
                if number in PEDALS:
                    self._pedals.discard((part, number))
                    if value >= 64:
                        self._pedals.add((part, number))

    def let_go(self, time: int, reached: Callable[[int], Sequence[int]]) -> list[NoteOff | Pedal]:
        """What lifts everything that is held. reached: the parts that a part's pedal moves."""
        keys = [NoteOff(time, part, key) for part, key in sorted(self._keys)]
        pedals = [
            Pedal(time, each, number, False)
            for part, number in sorted(self._pedals)
            for each in reached(part)
        ]
        return [*keys, *pedals]


class _Waiting:
    """What one page has sent that waits for files, or behind that, in its order."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[tuple[Call, list[Any]] | None] = asyncio.Queue()
        self._count = 0
        """Of those that have not been acted on yet."""

    def must_take(self, call: Call) -> bool:
        """Whether a call must wait here; it can be run at once if not."""
        if call.command.files is not Files.NONE:
            return True
        return self._count > 0 and call.command.address not in GO_AHEAD

    def put(self, call: Call, words: list[Any]) -> None:
        """Let a call wait, with the message that it comes from. ValueError if there is no room."""
        if self._count == MOST_WAITING:
            raise ValueError("too much waits for files to be written")
        self._count += 1
        self._calls.put_nowait((call, words))

    def end(self) -> None:
        """Nothing more will come."""
        self._calls.put_nowait(None)

    async def calls(self) -> AsyncIterator[tuple[Call, list[Any]]]:
        """Each call in turn, until the end; the one before has been acted on."""
        while (waiting := await self._calls.get()) is not None:
            yield waiting
            self._count -= 1


def command_of(text: str) -> list[Any]:
    """A message as an address and its arguments; ValueError for anything else."""
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("expected a JSON array") from None
    if not isinstance(words, list) or not words or not isinstance(words[0], str):
        raise ValueError("expected a JSON array, an address first")
    if len(words) > MOST_ARGUMENTS or not all(isinstance(w, str | int | float) for w in words):
        raise ValueError(f"expected at most {MOST_ARGUMENTS} texts and numbers")
    return words


async def _body(request: Request, most: int) -> bytes:
    """What a request brings. ValueError if that is more than so many bytes."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise ValueError(f"expected a file of at most {most / 2**20:g} MiB")
    return bytes(content)


async def _next_text(socket: WebSocket) -> str | None:
    """The next text that a page sends, "" for bytes; None when it is gone."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        return None
    return message.get("text") or ""


async def _until_gone(socket: WebSocket) -> None:
    while await _next_text(socket) is not None:
        pass


async def _until_one_ends(*tasks: Coroutine[Any, Any, None]) -> None:
    """Run these until one ends; a connection that has been lost is a good end."""
    running = [asyncio.ensure_future(task) for task in tasks]
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with suppress(WebSocketDisconnect):
                task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
