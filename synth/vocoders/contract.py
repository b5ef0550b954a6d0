"""The one interface of every vocoder: frames in, samples out, the moment passed along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

from synth.mel import Head
from synth.rows import RowState

State = TypeVar("State", bound=RowState)


@dataclass(frozen=True, slots=True)
class Pitches:
    """Which keys are held, for vocoders that place partials by them.

    held (batch, n, 88) bool: keys 21..108; a released one may ring on. bend (batch, n): semitones
    by which all keys of a part are bent.
    """

    held: Tensor
    bend: Tensor


class Vocoder(Protocol[State]):
    """Turns log spectra into sound, frame by frame, for a batch of parts.

    head: which spectrum it takes, "mel" (mel bands) or "fine" (fine bands). hop: samples for
    each frame. lookahead: how many frames behind its input its sound runs. draws_per_frame:
    uniform random numbers it takes for each frame and part.
    """

    @property
    def head(self) -> Head: ...

    @property
    def hop(self) -> int: ...

    @property
    def lookahead(self) -> int: ...

    @property
    def draws_per_frame(self) -> int: ...

    def initial_state(self, batch: int) -> State:
        """The state of `batch` silent parts; rows of it can be selected (`select_rows`)."""

    def step(
        self, frames: Tensor, state: State, draws: Tensor, pitches: Pitches | None = None
    ) -> tuple[Tensor, State]:
        """Sound for the next frames.

        frames (batch, n, bands) natural-log magnitudes; draws (batch, n, draws_per_frame)
        in [0, 1); pitches: of the same frames, None where they are not known. Returns samples
        (batch, n * hop), about -1..1, that belong to the frames `lookahead` before these, and
        the new state; the old one may be overwritten. The sound of a frame does not depend on n
        or on other rows.
        """
