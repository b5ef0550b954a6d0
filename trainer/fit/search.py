"""The point of a timbre space that sounds most like a recording: tried, then descended to.

Mel2Mel stays as it is; only its input moves. Every shipped patch, their centre and points spread
evenly over the space (a Sobol sequence), and what the bank's encoder guesses if it has one, are
tried on one excerpt. Descents begin at the best few;
the best of them goes on with all excerpts. A point stays inside the span of the instruments that
the network has learnt.

A descent is Gauss and Newton's, damped as Levenberg and Marquardt do, with weights 1 / |error| that
make squares absolute values. A point has few coordinates, so its derivatives are differences:
cheaper than to go back through the network, and they hold for knobs that move time in steps, too.

Knobs are turned only as far as it helps (`WORTH`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synth.bank.bank import Bank
from synth.mel2mel.keys import KeyTracks
from synth.mel2mel.network import Mel2Mel
from trainer.fit.distance import DB, Ear, mean_distance, sounding
from trainer.fit.excerpts import CONTEXT, SHIFTS, Excerpts

SPREAD, SPREAD_BESIDE_GUESS = 24, 8
"""Points tried beside the patches and their centre; fewer where an encoder has guessed one."""
BEST, APART = 3, 0.05
"""Descents, and how far apart they begin at least, as a share of the space's diameter."""
STEPS, LAST_STEPS = 6, 5
DIFFERENCE = 0.01
"""Share of the span by which a coordinate is moved to see what it does."""
DAMPING = (0.01, 0.3, 5.0)
"""Tried at each step, as shares of what the damping is added to."""
FARTHEST = 0.2
"""Share of the span that a step may go in a coordinate."""
LEAST_ERROR_DB = 1.0
"""Errors below it count by their squares."""
NO_BETTER = 1e-3
"""A descent ends when a step makes the distance less smaller than by this share."""
GAINS_DB, FINE_GAINS_DB = torch.arange(-16.0, 17.0, 4.0), torch.arange(-3.0, 3.5, 1.0)
"""Tried about the gain that brings the loudest to the loudest, then about the best of these."""
ROWS = 6
"""Given to the network at once: more leave the processor's cache."""
WORTH = 0.1
"""The share by which the distance must fall for knobs to move."""
TURNED = ("brightness", "attack", "decay", "body", "air")
"""Knobs that may be turned: movement says nothing of mean levels."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A point and how it fits. embedding (size,); knobs: name -> 0..1, those that may have moved;
    gain_db: brings it to the recording's level; shifts (excerpts,): frames, by which the recording
    is late in each; distance: dB; amounts: of the deep patches that the network has tables of."""

    embedding: Tensor
    knobs: Mapping[str, float]
    gain_db: float
    shifts: Tensor
    distance: float
    amounts: tuple[float, ...] = ()


class Search:
    """A bank's network and excerpts of one recording.

    guess (size,): a point to try, too. diameter: of the space, from the least to the greatest
    value of all coordinates.
    """

    def __init__(
        self,
        bank: Bank,
        net: Mel2Mel,
        ear: Ear,
        excerpts: Excerpts,
        guess: Tensor | None = None,
    ) -> None:
        self.ear, self.excerpts = ear, excerpts
        self._bank, self._net, self._guess = bank, net, guess
        ends = torch.tensor(bank.span)
        self.low, self.high = ends[:, 0], ends[:, 1]
        self._span = (self.high - self.low).clamp(min=1e-6)
        self.diameter = float((self.high - self.low).norm())

    @property
    def knobs(self) -> list[str]:
        """Those that may be turned: knobs that do not move the embedding itself."""
        size, ways = self._bank.embedding_size, self._bank.knobs
        return [name for name in TURNED if name in ways and not any(ways[name][:size])]

    def patches(self) -> Tensor:
        """The points (patches, size) of the bank's own patches, in its order."""
        points = [self._bank.patch(name).embedding for name in self._bank.names]
        return torch.tensor(points).clamp(self.low, self.high)

    def starts(self) -> Tensor:
        """Points (n, size) that are tried, patches first."""
        patches = self.patches()
        count = SPREAD if self._guess is None else SPREAD_BESIDE_GUESS
        sobol = torch.quasirandom.SobolEngine(len(self.low)).draw(count)
        spread = self.low + (self.high - self.low) * sobol
        guess = [] if self._guess is None else [self._guess[None]]
        return torch.cat([patches, patches.mean(0, keepdim=True), spread, *guess])

    def find(self) -> Guess:
        """The best point, knobs as patches have them."""
        first = self.excerpts.first(1)
        chosen: list[Guess] = []
        for guess in sorted(self.tried(self.starts(), {}, first), key=lambda g: g.distance):
            away = [float((guess.embedding - c.embedding).norm()) for c in chosen]
            if len(chosen) < BEST and all(a > APART * self.diameter for a in away):
                chosen.append(guess)
        best = min((self.descended(g, first, STEPS) for g in chosen), key=lambda g: g.distance)
        (again,) = self.tried(best.embedding[None], {}, self.excerpts)
        return self.descended(again, self.excerpts, STEPS)

    def polished(self, embedding: Tensor) -> tuple[Guess, Guess]:
        """The best point near one, and the same with knobs turned if that helps."""
        (begun,) = self.tried(embedding[None], {}, self.excerpts)
        plain = self.descended(begun, self.excerpts, LAST_STEPS)
        if not self.knobs:
            return plain, plain
        free = replace(plain, knobs=dict.fromkeys(self.knobs, 0.5))
        turned = self.descended(free, self.excerpts, LAST_STEPS)
        helped = turned.distance < (1 - WORTH) * plain.distance
        return plain, turned if helped else plain

    def tried(
        self,
        embeddings: Tensor,
        knobs: Mapping[str, float],
        excerpts: Excerpts,
        amounts: tuple[float, ...] = (),
    ) -> list[Guess]:
        """A guess at each of these points (n, size), all with the same knobs and amounts, with the
        gain and the shifts that fit best."""
        mels = self._hear(self.inputs(embeddings, knobs, amounts), excerpts)
        guesses = [
            self._settled(e, knobs, m, excerpts) for e, m in zip(embeddings, mels, strict=True)
        ]
        return [replace(guess, amounts=amounts) for guess in guesses]

    def descended(self, guess: Guess, excerpts: Excerpts, steps: int) -> Guess:
        """The best point on the way down from a guess; its knobs move, too."""
        target = excerpts.shifted(guess.shifts)[:, CONTEXT:]
        counts = self.ear.counts(target, sounding(excerpts.roll[:, CONTEXT:]))
        theirs = self.ear.theirs(target)[counts]
        names, size = list(guess.knobs), len(self.low)
        at = torch.cat(
            [
                (guess.embedding - self.low) / self._span,
                torch.tensor([float(guess.knobs[name]) for name in names]),
            ]
        )

        def ours(places: Tensor, gains: Tensor) -> Tensor:
            """Levels (places, counted frames, bands) at places (n, coordinates), gains (n,) dB."""
            knobs = {name: places[:, size + i] for i, name in enumerate(names)}
            inputs = self.inputs(self.low + self._span * places[:, :size], knobs)
            mels = self._hear(inputs, excerpts)[:, :, CONTEXT:]
            return self.ear.ours(mels, gains[:, None, None, None])[:, counts]

        gain = torch.tensor(guess.gain_db)
        now = ours(at[None], gain[None])[0]
        distance = (now - theirs).abs().mean()
        for _ in range(steps):
            # Away from the nearer end, so that it stays within.
            nudge = torch.where(at > 0.5, -DIFFERENCE, DIFFERENCE)
            moved = ours(at + torch.diag(nudge), gain.expand(len(at)))
            louder = (ours(at[None], gain[None] + 0.5)[0] - now) / 0.5
            slopes = [(m - now) / n for m, n in zip(moved, nudge, strict=True)]
            step = _steps(torch.stack([*slopes, louder]).flatten(1), (now - theirs).flatten())
            places = (at + step[:, :-1].clamp(-FARTHEST, FARTHEST)).clamp(0, 1)
            gains = gain + step[:, -1]
            tried = ours(places, gains)
            found = (tried - theirs).abs().mean((1, 2))
            best = int(found.argmin())
            better = float(found[best]) < (1 - NO_BETTER) * float(distance)
            if float(found[best]) < float(distance):
                at, gain, now, distance = places[best], gains[best], tried[best], found[best]
            if not better:
                break
        knobs = {name: float(at[size + i]) for i, name in enumerate(names)}
        embedding = self.low + self._span * at[:size]
        return Guess(embedding, knobs, float(gain), guess.shifts, float(distance))

    def inputs(
        self,
        embeddings: Tensor,
        knobs: Mapping[str, Tensor | float],
        amounts: tuple[float, ...] = (),
    ) -> Tensor:
        """The network's inputs (n, inputs) at embeddings (n, size) and knobs, each (n,) or one,
        amounts of deep patches behind them."""
        inputs = torch.nn.functional.pad(embeddings, (0, self._bank.more))
        for name, values in knobs.items():
            turned = torch.as_tensor(values).reshape(-1, 1) - 0.5
            inputs = inputs + turned * torch.tensor(self._bank.knobs[name])
        return torch.cat([inputs, torch.tensor([amounts] * len(inputs))], 1) if amounts else inputs

    @torch.inference_mode()
    def _hear(self, inputs: Tensor, excerpts: Excerpts) -> Tensor:
        """Log mel bands (n, excerpts, frames, mels) of inputs (n, inputs)."""
        k, keys, heard = len(excerpts), excerpts.keys, []
        for some in inputs.split(max(ROWS // k, 1)):
            n = len(some)
            tracks = (x.repeat(n, 1, 1) for x in (keys.velocity, keys.age, keys.rest))
            rolls, points = excerpts.roll.repeat(n, 1, 1), some.repeat_interleave(k, 0)[:, None]
            heard.append(self._net(rolls, points, None, KeyTracks(*tracks)).mel)
        return torch.cat(heard).unflatten(0, (len(inputs), k))

    def _settled(
        self, embedding: Tensor, knobs: Mapping[str, float], mel: Tensor, excerpts: Excerpts
    ) -> Guess:
        """The gain and the shifts that fit bands (excerpts, frames, mels) best: a gain as the score
        lies, each shift, the gain again."""
        mel, count = mel[:, CONTEXT:], mel.shape[1] - CONTEXT
        played = sounding(excerpts.roll[:, CONTEXT:])
        target = excerpts.target[:, CONTEXT:]
        theirs, heard = self.ear.theirs(target), target[..., self.ear.bands]
        still = slice(SHIFTS, SHIFTS + count)

        def best_gain(gains: Tensor, at: list[slice]) -> float:
            cut = torch.stack([x[a] for x, a in zip(theirs, at, strict=True)])
            counts = self.ear.counts(
                torch.stack([x[a] for x, a in zip(target, at, strict=True)]), played
            )
            errors = [
                mean_distance(self.ear.ours(mel, gain)[counts], cut[counts]) for gain in gains
            ]
            return float(gains[int(torch.stack(errors).argmin())])

        places = [still] * len(mel)
        middle = DB * float(heard[:, still].max() - mel[..., self.ear.bands].max())
        gain = best_gain(middle + GAINS_DB, places)
        for i, ours in enumerate(self.ear.ours(mel, gain)):
            errors = []
            for start in range(2 * SHIFTS + 1):
                at = slice(start, start + count)
                counts = self.ear.counts(target[i, at], played[i])
                errors.append(mean_distance(ours[counts], theirs[i, at][counts]))
            start = int(torch.stack(errors).argmin())
            places[i] = slice(start, start + count)
        gain = best_gain(gain + FINE_GAINS_DB, places)
        shifts = torch.tensor([place.start - SHIFTS for place in places])
        cut = excerpts.shifted(shifts)[:, CONTEXT:]
        counts = self.ear.counts(cut, played)
        distance = mean_distance(self.ear.ours(mel, gain)[counts], self.ear.theirs(cut)[counts])
        return Guess(embedding, knobs, gain, shifts, float(distance))

    def at_edge(self, embedding: Tensor) -> list[int]:
        """The coordinates in which a point lies at the edge of the span."""
        near = 0.005 * self._span
        out = (embedding <= self.low + near) | (embedding >= self.high - near)
        return torch.nonzero(out)[:, 0].tolist()


def _steps(slopes: Tensor, errors: Tensor) -> Tensor:
    """Steps (dampings, unknowns) that make errors (n,) small, of slopes (unknowns, n)."""
    weights = 1 / errors.abs().clamp(min=LEAST_ERROR_DB)
    weighted = (slopes * weights).double()
    a, b = weighted @ slopes.double().T, weighted @ errors.double()
    eased = a.diagonal().clamp(min=1e-6 * float(a.diagonal().max()) + 1e-9)
    steps = [torch.linalg.solve(a + torch.diag(amount * eased), -b) for amount in DAMPING]
    return torch.stack(steps).float()
