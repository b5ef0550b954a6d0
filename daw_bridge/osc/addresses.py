"""OSC messages to commands: looked up in the table, and run at their bundle's time."""

from __future__ import annotations

from daw_bridge.clock import AudioClock, seconds_until
from daw_bridge.commands.actions import Answer, Session
from daw_bridge.commands.console import Console
from daw_bridge.osc.packet import Message

HORIZON_S = 60.0
"""How far ahead a timetag may be: further ahead, it is a clock that is wrong."""

REMEMBERED = 4_096
"""How many timetags are kept with their times."""


class Addresses:
    """Runs messages as commands of a session."""

    def __init__(self, session: Session, clock: AudioClock) -> None:
        self._console = Console(session)
        self._clock = clock
        self._times: dict[int, int] = {}
        """Timetag -> samples, the latest last. A DAW may send many packets for one moment: they
        must stay in order, but the clock's answer moves by some samples from one to the next."""

    def act(self, message: Message, arrival: int) -> tuple[str, Answer] | None:
        """Do what a message says. Returns the address and the values of an answer, if any.

        arrival: samples, for what has no timetag. Raises ValueError, in one line for the sender,
        and then has changed nothing.
        """
        if message.problem:
            raise ValueError(message.problem)
        call = self._console.read(message.address, message.args)
        return self._console.run(call, self._time(message.timetag, arrival, call.timed))

    def _time(self, timetag: int | None, arrival: int, timed: bool) -> int:
        """When a message acts, in samples."""
        if timetag is None or not timed:
            return arrival
        if timetag not in self._times:
            ahead = seconds_until(timetag)
            if ahead > HORIZON_S:
                raise ValueError(f"timetag: {ahead:.1f} s ahead; at most {HORIZON_S:g} s")
            if len(self._times) == REMEMBERED:
                del self._times[next(iter(self._times))]
            self._times[timetag] = self._clock.samples_at_ntp(timetag)
        return self._times[timetag]
