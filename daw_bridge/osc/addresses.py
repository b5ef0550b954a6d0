"""OSC messages to commands: looked up in the table, and run at their bundle's time."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

from daw_bridge.clock import AudioClock, seconds_until
from daw_bridge.commands.actions import Answer, Session
from daw_bridge.commands.console import Console
from daw_bridge.commands.table import COMMANDS
from daw_bridge.osc.packet import Message
from daw_bridge.osc.patterns import is_pattern, matches

HORIZON_S = 60.0
"""How far ahead a timetag may be: further ahead, it is a clock that is wrong."""

REMEMBERED = 4_096
"""How many timetags are kept with their times."""

IMPLAUSIBLE_S = (-1.0, 5.0)
"""Timetags that all lie before or after this, from now, come from a clock that differs."""

STEADY_S = 1.0
"""By so much they differ from each other at most, then."""

NOTICED = 16
"""Moments in a row that are looked at for that."""

MOST_PATTERNS, MOST_MATCHES = 64, 1_024
"""In one packet: address patterns, and the addresses that they may reach in all."""


_log = logging.getLogger(__name__)


class Addresses:
    """Runs messages as commands of a session. Any thread may use it."""

    def __init__(self, session: Session, clock: AudioClock) -> None:
        self._console = Console(session)
        self._session = session
        self._reached = lru_cache(MOST_PATTERNS)(self._reach)
        self._clock = clock
        self._timing = threading.Lock()
        self._leads: deque[float] = deque(maxlen=NOTICED)
        """How far ahead the last timetags were, in seconds."""
        self._clocks_differ = False
        self._times: dict[int, int] = {}
        """Timetag -> samples, the latest last. A DAW may send many packets for one moment: they
        must stay in order, but the clock's answer moves by some samples from one to the next."""

    def spread(self, packet: Iterable[Message]) -> Iterator[Message]:
        """The messages of a packet, with one for each address that a pattern in it reaches.

        A pattern reaches the addresses that take its arguments. Where it reaches none, or too many,
        it stays one message with a problem.
        """
        patterns = used = 0
        for message in packet:
            if message.problem or not is_pattern(message.address):
                yield message
                continue
            patterns += 1
            try:
                if patterns > MOST_PATTERNS:
                    raise ValueError(f"at most {MOST_PATTERNS} address patterns in one packet")
                reached = self._taking(message, MOST_MATCHES - used)
            except ValueError as error:
                yield message._replace(args=(), problem=str(error))
                continue
            used += len(reached)
            for address in reached:
                yield message._replace(address=address)

    def act(self, message: Message, arrival: int) -> tuple[str, Answer] | None:
        """Do what a message says. Returns the address and the values of an answer, if any.

        arrival: samples, for what has no timetag. Raises ValueError, in one line for the sender,
        and then has changed nothing.
        """
        if message.problem:
            raise ValueError(message.problem)
        call = self._console.read(message.address, message.args)
        return self._console.run(call, self._time(message.timetag, arrival, call.timed))

    def _taking(self, message: Message, most: int) -> list[str]:
        """The addresses that a pattern fits and that take its arguments, at least one.

        ValueError if there are none, or more than most.
        """
        reached = self._reached(message.address)
        if len(reached) > most:
            raise ValueError(f"address pattern: one packet may reach {MOST_MATCHES} addresses")
        taking, problem = [], "address pattern: fits no address of a part; /help lists them all"
        for address in reached:
            try:
                self._console.read(address, message.args)
            except ValueError as error:
                problem = f"{address}: {error}"
            else:
                taking.append(address)
        if not taking:
            raise ValueError(problem)
        return taking

    def _reach(self, pattern: str) -> tuple[str, ...]:
        """The addresses that a pattern fits; one more than may be, if there are more."""
        desk = self._session.desk
        commands = (command.for_bank(list(desk.book.knobs), desk.reach) for command in COMMANDS)
        return tuple(islice(matches(pattern, commands), MOST_MATCHES + 1))

    def _notice(self, ahead: float) -> None:
        """Say it once when timetags begin to be implausible: the notes would only be late."""
        self._leads.append(ahead)
        low, high = IMPLAUSIBLE_S
        least, most = min(self._leads), max(self._leads)
        # A score that is sent in advance reaches ever further ahead; a wrong clock does not.
        steady = len(self._leads) == NOTICED and most - least < STEADY_S
        differ = steady and (least > high or most < low)
        if differ and not self._clocks_differ:
            _log.warning(
                "OSC: the last %d timetags were %.1f to %.1f s ahead: does the sender's clock "
                "differ from this machine's?",
                *(NOTICED, least, most),
            )
        self._clocks_differ = differ

    def _time(self, timetag: int | None, arrival: int, timed: bool) -> int:
        """When a message acts, in samples."""
        if timetag is None or not timed:
            return arrival
        with self._timing:
            if timetag not in self._times:
                ahead = seconds_until(timetag)
                if ahead > HORIZON_S:
                    raise ValueError(f"timetag: {ahead:.1f} s ahead; at most {HORIZON_S:g} s")
                self._notice(ahead)
                if len(self._times) == REMEMBERED:
                    del self._times[next(iter(self._times))]
                self._times[timetag] = self._clock.samples_at_ntp(timetag)
            return self._times[timetag]
