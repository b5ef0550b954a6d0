"""How far predicted spectra are from true ones: the method's three losses, by name.

abs compares magnitudes S, log-abs their natural logs, tanh-log-abs tanh(log S / 4), which
tells loud bands from soft ones and silence from nothing. The mel head descends the mean square
of the difference, as the method does; the fine head its mean absolute value, and the error of
its slopes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from synth.mel2mel.network import QUIET, Spectra
from trainer.mel2mel.settings import LossSettings

CEILING = 3.0
"""Natural log, +26 dB: a wild guess counts as no louder, or `abs` would know nothing else."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """words: with {} for the name of a log magnitude."""

    words: str
    of: Callable[[Tensor], Tensor]


MEASURES = {
    "tanh-log-abs": _Measure("tanh(log {} / 4)", lambda log: (log / 4).tanh()),
    "log-abs": _Measure("log {}", lambda log: log),
    "abs": _Measure("{}", lambda log: log.clamp(max=CEILING).exp()),
}


@dataclass(frozen=True, slots=True)
class SpectralLoss(LossSettings):
    """The loss that its settings describe.

    The error of log S / 4 lets quiet partials count a little and silence hardly at all.
    """

    @property
    def logs(self) -> float:
        """The weight of log errors."""
        usual = 0.1 if self.name == "tanh-log-abs" else 0.0
        return usual if self.log_weight is None else self.log_weight

    @property
    def slopes(self) -> float:
        """The weight of slope errors."""
        usual = 1.0 if self.name == "tanh-log-abs" else 0.0
        return usual if self.slope_weight is None else self.slope_weight

    def __call__(self, heard: Spectra, mel: Tensor, fine: Tensor | None) -> Tensor:
        """A scalar. mel (batch, frames, mels) and fine (batch, frames, bins), the true natural
        logs, in single precision; fine may be None where the network has no such head."""
        measure = MEASURES[self.name].of
        loss = self.mel_weight * (measure(heard.mel.float()) - measure(mel)).square().mean()
        if heard.fine is None or fine is None:
            return loss

        def away(guess: Tensor, true: Tensor) -> Tensor:
            # Below the floor is silence, too.
            guess = torch.where(true > QUIET, guess.float(), guess.float().clamp(min=QUIET))
            error = self.fine_weight * (measure(guess) - measure(true)).abs().mean()
            if self.logs:
                error = error + self.logs * (guess - true).abs().mean() / 4
            return error + self.slopes * slope_error(guess, true) if self.slopes else error

        if heard.fine.device.type == "cpu" and torch.is_grad_enabled():
            return loss + _RowByRow.apply(heard.fine, fine, away)
        return loss + away(heard.fine, fine)

    def in_words(self, fine: bool) -> str:
        """For a bank's provenance; fine: whether there is such a head."""
        words = MEASURES[self.name].words
        terms = [(self.mel_weight, f"mean square error of {words.format('mel')}")]
        if fine:
            terms += [(self.fine_weight, f"mean absolute error of {words.format('bin')}")]
            terms += [(self.logs, "mean absolute error of log bin / 4")]
            terms += [(self.slopes, "mean absolute error of its slopes, by loudness")]
        return " + ".join(f"{w:g} x {what}" if w != 1 else what for w, what in terms if w)


def slope_error(guess: Tensor, true: Tensor) -> Tensor:
    """Mean absolute error of how log magnitudes rise over two bins, plus that over two frames.

    guess, true (..., frames, bins), natural logs. Each counts as loud as the true one between
    is: 1 + tanh(log S / 4).
    """
    error, loudness = guess - true, (true / 4).tanh() + 1
    across = (error[..., 2:] - error[..., :-2]).abs() * loudness[..., 1:-1]
    along = (error[..., 2:, :] - error[..., :-2, :]).abs() * loudness[..., 1:-1, :]
    return across.mean() + along.mean()


class _RowByRow(torch.autograd.Function):
    """The mean of a function of each row, gone forward and back while the row is in the
    processor's cache: the fine spectra of a batch are far larger than that."""

    @staticmethod
    def forward(
        ctx: Any, guess: Tensor, true: Tensor, away: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        gradient, total = torch.empty_like(guess), torch.zeros(())
        for row, (one, other) in enumerate(zip(guess, true, strict=True)):
            one = one.detach().requires_grad_()
            with torch.enable_grad():
                loss = away(one, other)
            (gradient[row],) = torch.autograd.grad(loss, one)
            total += loss.detach()
        ctx.save_for_backward(gradient)
        ctx.rows = len(guess)
        return total / len(guess)

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * (scale / ctx.rows), None, None
