"""Recordings that a page has brought: a patch is fitted to each, in a process of its own.

The process is `trainer fit`. It reads what others have sent, so it is the one that a bad file can
harm; the instrument plays on whatever becomes of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common.checks import brief
from common.patch import check_name
from daw_bridge.desk.desk import Desk

MOST_BYTES = 64 * 2**20
"""Of a recording: three minutes of stereo at 48 kHz and 24 bits have 52 MB."""
ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff")
LONGEST_S = 900.0
"""How long a fit may take: on a busy machine it is minutes."""
MODULE = "trainer.fit.process"
INSTALL = 'pip install -e ".[fit]"'
INSTALL_SEVERAL = f"{INSTALL} && pip install --no-deps basic-pitch==0.4.0"
VOICES = ("one", "several")
SOUND, PICTURE = "comparison.wav", "picture.png"
"""What a page asks for: the recording, then the patch; and the spectra of both."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """A fit as pages are told of it. number: counted from 1; name: of the patch; share: 0..1 of the
    work; lines: what was found so far; state: "running", "done" or "failed"; error: why."""

    number: int
    name: str
    share: float = 0.0
    lines: tuple[str, ...] = ()
    state: str = "running"
    error: str = ""


class Fits:
    """Fits one recording at a time. Only the event loop's thread calls it.

    bank: its folder; own: where patches go, None for that of the bank; now: the latest fit, None if
    there is none, or it was put away.
    """

    def __init__(self, desk: Desk, bank: Path, own: Path | None) -> None:
        self.now: Fitting | None = None
        self._desk, self._bank, self._own = desk, bank.resolve(), own or bank
        self._folder: TemporaryDirectory[str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._count = 0

    def begin(
        self, name: str, file: str, recording: bytes, score: bytes | None, voices: str = "one"
    ) -> None:
        """Begin to fit a patch. file: name of the recording; score: a MIDI file of its notes.

        ValueError, in one line, if that cannot be.
        """
        check_name(name)
        if name in self._desk.names:
            raise ValueError(f"{name}: that patch exists; take another name")
        if self._task:
            raise ValueError("another recording is being fitted; wait for it, or cancel it")
        if voices not in VOICES:
            raise ValueError(f"voices: expected {' or '.join(VOICES)}, got {brief(voices)}")
        if not recording:
            raise ValueError(f"{brief(file)}: the recording is empty")
        _check_installed(score is not None, voices)
        self.put_away()
        self._folder = TemporaryDirectory(prefix="melstream-fit-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        plan: dict[str, Any] = {
            "recording": str(folder / _file_name(file)),
            "midi": str(folder / "score.mid") if score is not None else None,
            "name": name,
            "voices": voices,
            "bank": str(self._bank),
            "out": str(self._own.resolve()),
            "report": str(folder / "report"),
        }
        self._count += 1
        self.now = Fitting(self._count, name)
        self._task = asyncio.create_task(self._run(plan, recording, score))

    def cancel(self) -> None:
        """End the fit that runs, if one does, and put it away."""
        if self._task:
            self._task.cancel()
            self._task = None
        self.put_away()

    def put_away(self) -> None:
        """Forget a fit that has ended, and its files."""
        self.now = None
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def result(self, which: str) -> Path | None:
        """The file of a result, `SOUND` or `PICTURE`, of the latest fit; None if there is none."""
        if not self.now or self.now.state != "done" or not self._folder:
            return None
        ending = {SOUND: ".wav", PICTURE: ".png"}.get(which)
        if ending is None:
            return None
        path = Path(self._folder.name) / "report" / f"{self.now.name}{ending}"
        return path if path.exists() else None

    async def _run(self, plan: dict[str, Any], recording: bytes, score: bytes | None) -> None:
        """Run a fit to its end; `now` tells how far it is."""
        process: Process | None = None
        last: dict[str, Any] = {}
        try:
            await asyncio.to_thread(Path(plan["recording"]).write_bytes, recording)
            if score is not None:
                await asyncio.to_thread(Path(plan["midi"]).write_bytes, score)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(),
            )
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps(plan).encode() + b"\n")
            async with asyncio.timeout(LONGEST_S):
                async for line in process.stdout:
                    last = json.loads(line)
                    self._take(last)
                await process.wait()
            if "done" in last:
                await asyncio.to_thread(self._desk.reload)
                self._end("done")
            else:
                reason = last.get("error") or f"the fit ended ({process.returncode})"
                # Where the server has put the file is of no use to a page.
                folder = str(Path(plan["recording"]).parent) + os.sep
                self._end("failed", reason.replace(folder, ""))
        except TimeoutError:
            self._end("failed", f"it took longer than {LONGEST_S:.0f} s")
        except (OSError, ValueError) as error:
            self._end("failed", str(error))
        finally:
            if process and process.stdin:
                with suppress(ProcessLookupError):
                    process.kill()
                process.stdin.close()
            if self._task is asyncio.current_task():
                self._task = None

    def _take(self, told: dict[str, Any]) -> None:
        """Take in one line of the process."""
        if self.now and "share" in told:
            self.now = replace(self.now, share=told["share"])
        elif self.now and "line" in told:
            self.now = replace(self.now, lines=(*self.now.lines, told["line"]))

    def _end(self, state: str, error: str = "") -> None:
        if self.now:
            share = 1.0 if state == "done" else self.now.share
            self.now = replace(self.now, state=state, share=share, error=error)


Check = Callable[[str], object]


def _check_installed(has_score: bool, voices: str, found: Check = find_spec) -> None:
    """ValueError, with what to install, if the trainer lacks something for a fit.

    >>> _check_installed(False, "one", {"trainer": 1, "matplotlib": 1}.get)
    Traceback (most recent call last):
    ValueError: to fit a patch without a MIDI file, librosa is needed: pip install -e ".[fit]"
    """
    for module in ("trainer", "matplotlib"):
        if not found(module):
            raise ValueError(f"to fit a patch, {module} is needed: {INSTALL}")
    if not has_score and not found("librosa"):
        raise ValueError(f"to fit a patch without a MIDI file, librosa is needed: {INSTALL}")
    if not has_score and voices == "several" and not found("basic_pitch"):
        raise ValueError(f"for several voices, basic-pitch is needed: {INSTALL_SEVERAL}")


def _file_name(name: str) -> str:
    """A name for a recording's file: its own, if that is harmless.

    >>> _file_name("my cello.FLAC"), _file_name("../../etc/passwd"), _file_name("con.wav")
    ('my cello.flac', 'recording', 'recording.wav')
    """
    stem, dot, ending = name.rpartition(".")
    ending = f".{ending.lower()}" if dot and f".{ending.lower()}" in ENDINGS else ""
    try:
        check_name(stem if ending else name)
    except ValueError:
        return f"recording{ending}"
    return f"{stem if ending else name}{ending}"


def _environment() -> dict[str, str]:
    """The server's own, with its modules, and one core."""
    here = str(Path(__file__).resolve().parents[1])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return {**os.environ, **one, "PYTHONPATH": os.pathsep.join(paths)}
