"""What a control surface can show, and what of it has changed, whoever changed it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from daw_bridge.commands.actions import Answer, Session
from daw_bridge.commands.query import addresses
from daw_bridge.commands.table import SOUND
from daw_bridge.desk.settings import Settings

COUNTERS = ("underruns", "late", "dropped", "fault")
"""Of the status, what a player must know of."""

Told = dict[str, Answer]
"""Address -> values."""


class Changes:
    """Keeps one reader in step. One thread at a time.

    told: how everything stood at the last look.
    """

    def __init__(self, session: Session) -> None:
        self.told: Told = {}
        self._session = session
        self._settings: dict[int, Settings] = {}

    def look(self) -> Told:
        """What has changed since the last look; at first everything."""
        return self._note(self._of_parts() | self._of_server())

    def look_at_parts(self) -> Told:
        """The same, of the parts alone."""
        return self._note(self._of_parts())

    def _note(self, stands: Told) -> Told:
        changes = {a: v for a, v in stands.items() if self.told.get(a) != v}
        self.told |= changes
        return changes

    def _of_parts(self) -> Told:
        """Every value of the parts that have been changed."""
        told: Told = {}
        for part, settings in self._session.desk.parts().items():
            if self._settings.get(part) is not settings:
                self._settings[part] = settings
                now = dict(self._of_part(part))
                # What a part has no value of any more, such as its morph, is told to nobody.
                for gone in [a for a in self.told if a.startswith(f"/part/{part}/")]:
                    if gone not in now:
                        del self.told[gone]
                told |= now
        return told

    def _of_server(self) -> Told:
        desk, status = self._session.desk, self._session.status()
        told: Told = {f"/status/{name}": (status[name],) for name in COUNTERS if name in status}
        learnt = [str(x) for pair in desk.learnt.bound.items() for x in pair]
        told["/midi/map.reply"] = tuple(learnt)
        told["/midi/learn"] = (desk.learnt.waiting or "",)
        told["/patch/list.reply"] = tuple(desk.names)
        return told

    def _of_part(self, part: int) -> Iterator[tuple[str, Answer]]:
        """Every address of a part that has a value now, with it."""
        book = self._session.desk.book
        for command in SOUND.commands:
            if command.ask is None:
                continue
            of_bank = command.for_bank(list(book.knobs), self._session.desk.reach)
            of_part = replace(
                of_bank,
                address=of_bank.address.replace("<channel>", str(part)),
                place=of_bank.place[1:],
            )
            for address, place in addresses(of_part):
                try:
                    yield address, command.ask(self._session, part, *place)
                except ValueError:
                    continue  # such as the morph of a part that is on none
