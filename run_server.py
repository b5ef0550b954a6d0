"""melstream: play neural instruments live from a DAW, or render a MIDI file with them.

    python run_server.py                       play what MIDI and OSC send
    python run_server.py render song.mid out.wav
    python run_server.py batch FOLDER --patch harp trumpet --out sounds

Flags in, exit code out; the rooms in player/ do the work. What takes long to load is loaded after
the flags have been read.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from common.caches import provide_caches
from common.checks import printable
from common.flags import read_flags
from common.logs import start_logging
from player.batch.flags import BatchFlags
from player.flags import PROGRAM, LiveFlags, RenderFlags

if TYPE_CHECKING:
    from synth.output.sinks import Sink

DONE, FAILED, INTERRUPTED = 0, 2, 130


def main(
    arguments: Sequence[str] | None = None,
    around: Callable[[Sink], Sink] = lambda sink: sink,
) -> int:
    """Run the command line.

    Returns 0 when all went well; 2 for bad input, a device or a recording that failed, told in
    one line, and for a check that found something to change; 130 when it was interrupted before it
    played or while it rendered. around: puts a sink of the caller's around the one asked for, to
    watch it; live only.
    """
    _open_streams()
    start_logging()
    arguments = sys.argv[1:] if arguments is None else arguments
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    try:
        if arguments[:1] == ["render"]:
            return _render(read_flags(RenderFlags, arguments[1:], f"{PROGRAM} render"))
        if arguments[:1] == ["batch"]:
            return _batch(read_flags(BatchFlags, arguments[1:], f"{PROGRAM} batch"))
        return _live(read_flags(LiveFlags, arguments, PROGRAM), around)
    except BrokenPipeError:  # whoever reads what is printed has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (ValueError, OSError) as error:
        print(f"melstream: {printable(str(error))}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("melstream: interrupted", file=sys.stderr)
        return INTERRUPTED


def _open_streams() -> None:
    """Give a program that was started without standard streams ones that lead nowhere.

    Otherwise the next file or socket would take their numbers, and get what libraries print.
    """
    for number, mode in ((0, "r"), (1, "w"), (2, "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


def _interrupt(*_: object) -> None:
    """What SIGTERM and SIGHUP do until the server plays: as Ctrl-C, nothing is left half done."""
    raise KeyboardInterrupt


def _render(flags: RenderFlags) -> int:
    _one_thread()
    from player.render import render
    from synth.compiling import compiling_shown

    with compiling_shown():
        render(flags)
    return DONE


def _batch(flags: BatchFlags) -> int:
    _one_thread()
    from player.batch.batch import batch

    return DONE if batch(flags) else FAILED


def _live(flags: LiveFlags, around: Callable[[Sink], Sink]) -> int:
    if flags.version:
        from common.version import version

        print(version())
        return DONE
    if flags.list_devices:
        from player.devices import listed

        print("\n".join(listed()))
        return DONE
    start_logging(flags.log_level, flags.log)
    _one_thread()
    if flags.check:
        from player.check import check

        return DONE if check(flags) else FAILED
    from player.live import serve

    return DONE if serve(flags, around) else FAILED


def _one_thread() -> None:
    """Compute on one thread, and let others take turns often."""
    problem = provide_caches()
    if problem:
        logging.getLogger("player").warning(problem)
    import torch

    # One thread is the fastest for matrices this small, and leaves the listeners theirs.
    torch.set_num_threads(1)
    # The audio callback must not wait 5 ms for its turn at the interpreter.
    sys.setswitchinterval(5e-4)


if __name__ == "__main__":
    sys.exit(main())
