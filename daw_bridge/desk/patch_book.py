"""What the desk needs of a bank: names, patches, knobs. A bank fits by having these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from daw_bridge.desk.settings import Embedding


class Patch(Protocol):
    """A named point of a bank. knobs may leave some out: those stand at 0.5."""

    name: str
    embedding: Embedding
    knobs: Mapping[str, float]
    gain_db: float
    pan: float


class PatchBook(Protocol):
    """What the desk needs of a bank. Any thread may call it.

    names: the patches, in order, never empty; knobs: name -> direction in the embedding
    space; programs: General MIDI program 0..127 -> patch name.
    """

    names: list[str]
    embedding_size: int
    knobs: Mapping[str, Embedding]
    programs: Mapping[int, str]

    def patch(self, name: str) -> Patch:
        """The patch of that name; the desk asks only for those in `names`."""
        ...

    def save(
        self,
        name: str,
        *,
        embedding: Embedding,
        knobs: Mapping[str, float],
        gain_db: float,
        pan: float,
        overwrite: bool,
    ) -> Patch:
        """Keep a patch under name. ValueError on a bad name, or a taken one unless overwrite."""
        ...
