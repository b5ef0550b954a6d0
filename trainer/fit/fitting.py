"""A patch fitted to a recording, and how well it fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from synth.bank.bank import Bank
from synth.instrument import Instrument
from synth.mel import log_magnitudes, log_mel
from synth.mel2mel.deep import Expander, curves_of, text_of
from synth.mel2mel.network import Mel2Mel
from synth.vocoders.spectral.vocoder import SpectralVocoder
from trainer.encoder.guess import guess_of, load_encoder
from trainer.fit.deepening import learn_curves
from trainer.fit.distance import DB, Ear, listen, with_noise
from trainer.fit.excerpts import CONTEXT, FRAMES, Excerpts, choose_excerpts, cut_excerpts
from trainer.fit.recording import Recording
from trainer.fit.score import Place, Score, find_place
from trainer.fit.search import WORTH, Guess, Search
from trainer.fit.takes import play_score

NOTED, PLACED, FOUND, POLISHED, FITTED = 0.2, 0.25, 0.5, 0.8, 0.85
"""The shares of the work that are done when the notes are known, and so on."""
SEARCHED = 2
"""Excerpts that a point is searched on."""
MORE = 3
"""Excerpts, spread over what it is judged on, that the point is then polished on."""
RIVALS = 2
"""Patches that are compared with it on all of that."""
JUDGED_S = 20.0
"""Of the recording, about its busiest part, on which fits are compared and heard."""
OUTSIDE_DB = 1.5
"""Farther than the bank's own sound by so much: the timbre lies outside the bank."""


Tell = Callable[[float], None]
"""Is told how far something is, 0..1."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found.

    place: where in the score the recording lies; embedding, knobs: of the patch; point: the
    network's input that they are; gain_db: brings the patch at 0 dB to the recording's level;
    distance: of the patch from the recording; nearest, nearest_distance: the shipped patch that
    fits best, its gain fitted, too; own_distance: of the bank's own sound of the patch from what it
    predicts (all in dB, as distance.py has them); edge: the coordinates in which the point lies at
    the edge of the span; start: frame of the recording from which on it was judged; original, ours
    (samples,): the recording from there on, and the patch that plays it.
    """

    place: Place
    embedding: tuple[float, ...]
    knobs: Mapping[str, float]
    point: tuple[float, ...]
    gain_db: float
    distance: float
    nearest: str
    nearest_distance: float
    own_distance: float
    edge: tuple[int, ...]
    start: int
    original: np.ndarray
    ours: np.ndarray
    deep: str
    plain_distance: float

    @property
    def outside(self) -> bool:
        """Whether the timbre lies outside the bank: no point of it sounds like the recording."""
        return self.distance > self.own_distance + OUTSIDE_DB


def fit_recording(
    bank: Bank,
    recording: Recording,
    score: Score,
    placed: bool,
    deep: bool = False,
    tell: Tell = lambda share: None,
) -> Fit:
    """Fit a patch of a bank to a recording of a score.

    placed: whether the score begins where the recording does; else its place is found; deep:
    whether key templates are adapted, too, if that helps. tell: is told which share of the work is
    done.
    """
    analysis, instrument = bank.analysis, Instrument(bank, SpectralVocoder(bank.analysis))
    net = _still(bank.mel2mel())
    heard = log_mel(torch.from_numpy(recording.audio), analysis)
    ear = listen(heard, recording, analysis)
    place = Place(0, 1.0, float("inf")) if placed else None
    encoder = load_encoder(bank)
    guess = None if encoder is None else guess_of(encoder, heard)
    place, search = _begun(bank, net, ear, score, heard, guess, place)
    tell(PLACED)
    found = search.find()
    tell(FOUND)

    starts = _judged(search.excerpts.starts[0], len(heard), round(JUDGED_S * analysis.frame_rate))
    stretch = cut_excerpts(score, place.lag, heard, starts)
    some = [starts[i] for i in _spread(len(starts), MORE)]
    wide = Search(bank, net, search.ear, cut_excerpts(score, place.lag, heard, some))
    nearest, patch = _nearest(wide, stretch)
    # What fits the busiest part best need not fit the rest as well.
    begun = search.tried(found.embedding[None], {}, stretch)[0]
    begun = min(begun, patch, key=lambda guess: guess.distance)
    polished = wide.polished(begun.embedding)
    tell(POLISHED)
    again = [wide.tried(g.embedding[None], g.knobs, stretch)[0] for g in polished]
    best = min([begun, *again], key=lambda guess: guess.distance)
    plain = best

    curves = ""
    if deep:
        fine = log_magnitudes(torch.from_numpy(recording.audio), analysis)
        told = cut_excerpts(score, place.lag, fine, starts).shifted(best.shifts)
        best, curves = _deepened(search, net, best, stretch, told)
    first, frames = starts[0] + CONTEXT, len(starts) * (FRAMES - CONTEXT)
    frames = min(frames, len(heard) - first)
    point = tuple(search.inputs(best.embedding[None], best.knobs)[0].tolist())
    point += bank.amounts({curves: 1.0} if curves else {})
    lag = first + place.lag - round(float(best.shifts.float().mean()))
    sound = play_score(instrument, score, lag, frames, point)
    own = _own_distance(search, bank, score, sound, lag, best)
    hop = analysis.hop
    original = recording.audio[first * hop : (first + frames) * hop]
    return Fit(
        place,
        tuple(best.embedding.tolist()),
        best.knobs,
        point,
        best.gain_db,
        best.distance,
        bank.names[nearest],
        patch.distance,
        own,
        tuple(search.at_edge(best.embedding)),
        first,
        original,
        sound[: len(original)] * np.float32(10 ** (best.gain_db / 20)),
        curves,
        plain.distance,
    )


def _deepened(
    search: Search, net: Mel2Mel, best: Guess, stretch: Excerpts, fine: Tensor
) -> tuple[Guess, str]:
    """A guess with curves of its own, and these as a patch holds them; as it was, and "", where
    they do not help. The network keeps their tables."""
    point = search.inputs(best.embedding[None], best.knobs)[0]
    mel = stretch.shifted(best.shifts)
    curves = text_of(learn_curves(net, search.ear, point, stretch, mel, fine, best.gain_db))
    assert net.templates is not None
    with torch.no_grad():
        net.templates.deep = Expander(net.templates)(torch.from_numpy(curves_of(curves)))
    (deep,) = search.tried(best.embedding[None], best.knobs, stretch, (1.0,))
    return (deep, curves) if deep.distance < (1 - WORTH) * best.distance else (best, "")


def distance_of(
    bank: Bank, recording: Recording, score: Score, lag: int, found: Fit, deep: bool
) -> float:
    """How far a fit is from another recording of the same instrument, which frame lag of a score
    begins; gain and shifts fitted. deep: with its curves."""
    net, heard = _still(bank.mel2mel()), log_mel(torch.from_numpy(recording.audio), bank.analysis)
    ear = with_noise(listen(heard, recording, bank.analysis), heard, score, lag)
    starts = _judged(0, len(heard), len(heard))
    search = Search(bank, net, ear, cut_excerpts(score, lag, heard, starts))
    amounts = bank.amounts({found.deep: 1.0} if deep else {})
    point = torch.tensor([found.embedding])
    (guess,) = search.tried(point, found.knobs, search.excerpts, amounts)
    return guess.distance


def _begun(
    bank: Bank,
    net: Mel2Mel,
    ear: Ear,
    score: Score,
    heard: Tensor,
    guess: Tensor | None,
    known: Place | None,
) -> tuple[Place, Search]:
    """The score's place, and a search on the excerpts there.

    A place is found with the bank's first patch, and again with the one that then fits best: tones
    that swell are heard later than those that are struck.
    """
    speaks, place = torch.tensor(bank.point(bank.names[0])), known
    for last in (False, True):
        if known is None:
            told = (score, heard, net, speaks, ear.quiet**0.5, ear.bands)
            again = find_place(*told, about=place.lag if place else None)
            # The first look has seen the whole score: it knows whether another place fits as well.
            place = replace(again, clear=place.clear) if place else again
        assert place is not None
        knows = with_noise(ear, heard, score, place.lag)
        excerpts = choose_excerpts(score, place.lag, heard, SEARCHED)
        search = Search(bank, net, knows, excerpts, guess)
        if known or last:
            break
        guesses = search.tried(search.patches(), {}, search.excerpts.first(1))
        best = min(guesses, key=lambda guess: guess.distance)
        speaks = search.inputs(best.embedding[None], {})[0]
    return place, search


def _still(net: Mel2Mel) -> Mel2Mel:
    """The same network without movement: it says nothing of mean levels, and takes its time."""
    net.config = replace(net.config, movement=0)
    return net


def _nearest(search: Search, stretch: Excerpts) -> tuple[int, Guess]:
    """The patch that fits a stretch best: its number, and how it fits. Only the best few on the
    search's excerpts are tried on the whole."""
    points = search.patches()
    guesses = search.tried(points, {}, search.excerpts)
    best = sorted(range(len(points)), key=lambda i: guesses[i].distance)[:RIVALS]
    again = search.tried(points[best], {}, stretch)
    return min(zip(best, again, strict=True), key=lambda found: found[1].distance)


def _judged(busiest: int, total: int, most: int) -> list[int]:
    """Where excerpts begin that follow one another, about the busiest one: frames."""
    step = FRAMES - CONTEXT
    count = max(min(most, total) // step, 1)
    first = min(max(busiest - count // 3 * step, -CONTEXT), max(total - count * step, 0) - CONTEXT)
    return [first + i * step for i in range(count)]


def _spread(count: int, most: int) -> list[int]:
    """So many of 0 .. count - 1, evenly spread."""
    return sorted(set(np.linspace(0, count - 1, most).round().astype(int).tolist()))


def _own_distance(
    search: Search, bank: Bank, score: Score, sound: np.ndarray, lag: int, guess: Guess
) -> float:
    """How far the bank's own sound of a guess, frames of a score from lag on, is from what it
    predicts, with the same ear."""
    heard = log_mel(torch.from_numpy(sound), bank.analysis) + guess.gain_db / DB
    starts = _judged(0, len(heard), len(heard))
    (own,) = search.tried(
        *(guess.embedding[None], guess.knobs),
        *(cut_excerpts(score, lag, heard, starts), guess.amounts),
    )
    return own.distance
