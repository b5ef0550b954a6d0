"""Known points and knobs are found again, and nothing leaves the span."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.bank.bank import Bank
from tests.toy_bank import ANALYSIS
from trainer.fit.distance import DB, listen
from trainer.fit.excerpts import CONTEXT, FRAMES, SHIFTS, choose_excerpts, cut_excerpts
from trainer.fit.recording import Recording
from trainer.fit.score import Score, predict_mel
from trainer.fit.search import Search

SILENCE = Recording(np.zeros(0, np.float32), ANALYSIS.rate, ANALYSIS.rate / 2, "a", "", 0.0)


def search_for(
    bank: Bank, score: Score, point: list[float], gain_db: float = 0.0, late: int = 0
) -> Search:
    """A search for what a bank says of a point itself."""
    net = bank.mel2mel()
    net.config = replace(net.config, movement=0)
    heard = predict_mel(net, score, -late, 900, torch.tensor(point)) + gain_db / DB
    ear = listen(heard, SILENCE, ANALYSIS)
    return Search(bank, net, ear, choose_excerpts(score, 0, heard, 2))


@pytest.mark.parametrize("place", [(0.1, 0.1), (0.5, -0.6), (-0.5, 0.5)])
def test_a_known_point_is_found(toy, score, place):
    search = search_for(toy, score, list(place), gain_db=-8.0, late=5)
    found = search.find()
    assert float((found.embedding - torch.tensor(place)).norm()) < 0.03 * search.diameter
    assert found.gain_db == pytest.approx(-8.0, abs=0.5)
    assert found.shifts.tolist() == [5, 5] and found.distance < 0.3


def test_a_point_beyond_the_span_ends_at_its_edge(toy, score):
    search = search_for(toy, score, [2.5, 0.2])
    found = search.find()
    ends = torch.tensor(toy.span)
    assert (found.embedding >= ends[:, 0]).all() and (found.embedding <= ends[:, 1]).all()
    assert search.at_edge(found.embedding) == [0]
    assert search.at_edge(ends.mean(1)) == []


def test_knobs_that_were_turned_are_found(knobby, score):
    bare = search_for(knobby, score, [0.1, 0.1, 0, 0, 0, 0, 0, 0])
    plain, turned = bare.polished(torch.tensor([0.1, 0.1]))
    assert plain is turned and not turned.knobs
    search = search_for(knobby, score, [0.1, 0.1, 0.8, 0, 0, 0, 0, 0])
    plain, turned = search.polished(torch.tensor([0.1, 0.1]))
    assert turned.distance < 0.5 * plain.distance
    assert turned.knobs["brightness"] == pytest.approx(0.9, abs=0.1)
    assert "movement" not in turned.knobs
    assert all(0 <= value <= 1 for value in turned.knobs.values())


def test_knobs_of_the_embedding_itself_are_left_alone(toy, score):
    search = search_for(toy, score, [0.1, 0.1])
    plain, turned = search.polished(torch.tensor([0.2, 0.0]))
    assert search.knobs == [] and plain is turned


def test_excerpts_are_where_most_is_played(score):
    quiet = np.zeros_like(score.roll)
    quiet[600:900] = score.roll[600:900]
    heard = torch.zeros(1_500, ANALYSIS.mels)
    (first, *_) = choose_excerpts(replace(score, roll=quiet), 0, heard, 2).starts
    assert 600 - CONTEXT - 16 <= first <= 700
    cut = choose_excerpts(score, 0, heard[:100], 2)
    assert cut.starts == [-CONTEXT] and cut.roll.shape == (1, FRAMES, 176)


def test_a_target_that_is_late_is_cut_late(score):
    heard = torch.arange(1_000.0)[:, None].expand(-1, ANALYSIS.mels)
    cut = cut_excerpts(score, 0, heard, [100, 300])
    shifted = cut.shifted(torch.tensor([0, SHIFTS]))
    assert shifted[:, 0, 0].tolist() == [100.0, 300.0 + SHIFTS]
    assert shifted.shape == (2, FRAMES, ANALYSIS.mels)
