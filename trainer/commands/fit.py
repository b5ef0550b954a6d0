"""`trainer fit`."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.fit.plan import FitPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCommand:
    """Make a patch that sounds like a recording, in the timbre space of a bank.

    With the recording's MIDI file the fit is best; without it the notes are transcribed first.
    """

    plan: FitPlan
    """What it is fitted to, and where it goes."""

    def run(self) -> None:
        """Make the patch; prints what was found."""
        from trainer.fit.fit import fit

        for line in fit(self.plan):
            print(line, flush=True)
