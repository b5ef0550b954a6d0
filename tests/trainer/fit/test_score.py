"""A score, cut anywhere, and its place in a recording."""

from __future__ import annotations

import mido
import pytest
import torch

from daw_bridge.events import NoteOff, NoteOn
from synth.mel2mel.keys import initial_keys, play_keys
from tests.toy_bank import ANALYSIS, make_mel2mel
from trainer.fit.score import find_place, make_score, predict_mel, read_score

POINT, OTHER = torch.tensor([0.8, 0.2]), torch.tensor([-0.6, 0.9])
BANDS = torch.ones(ANALYSIS.mels, dtype=torch.bool)


@pytest.mark.parametrize("start", [-30, 0, 1, 200, 2_000])
def test_a_cut_is_what_the_whole_has_there(score, start):
    before, after = max(-start, 0), 3_000
    whole = torch.nn.functional.pad(torch.from_numpy(score.roll), (0, 0, before, after))[None]
    keys, _ = play_keys(whole, initial_keys(1))
    roll, cut = score.tensors(start, 100)
    here = slice(start + before, start + before + 100)
    assert torch.equal(roll, whole[:, here])
    assert torch.equal(cut.velocity, keys.velocity[:, here])
    if start < score.frames:
        assert torch.equal(cut.age, keys.age[:, here]) and torch.equal(cut.rest, keys.rest[:, here])


@pytest.mark.parametrize("lag", [-60, 0, 35, 400])
def test_the_place_of_a_recording_is_found(score, lag):
    net = make_mel2mel()
    heard = predict_mel(net, score, lag, 500, OTHER)
    place = find_place(score, heard, net, POINT, 1e-3, BANDS)
    assert abs(place.lag - lag) <= 1 and not place.doubtful
    near = find_place(score, heard, net, POINT, 1e-3, BANDS, about=lag + 20)
    assert near.lag == place.lag


def test_a_place_that_could_be_another_is_doubtful():
    net = make_mel2mel()
    on = [(round(0.4 * i * ANALYSIS.rate), 60) for i in range(20)]
    events = [e for t, k in on for e in (NoteOn(t, 1, k, 90), NoteOff(t + 3_000, 1, k))]
    same = make_score(events, ANALYSIS)
    heard = predict_mel(net, same, 100, 300, POINT)
    assert find_place(same, heard, net, POINT, 1e-3, BANDS).doubtful


def test_a_score_without_notes_is_refused(tmp_path):
    file = mido.MidiFile()
    file.tracks.append(mido.MidiTrack([mido.Message("note_on", channel=9, note=40, time=10)]))
    file.save(tmp_path / "drums.mid")
    with pytest.raises(ValueError, match=r"drums\.mid: expected a note of keys 21 to 108"):
        read_score(tmp_path / "drums.mid", ANALYSIS)


def test_a_score_that_is_too_long_is_refused(tmp_path):
    file = mido.MidiFile(ticks_per_beat=500)
    notes = [mido.Message("note_on", note=60, time=t) for t in (0, 2_000_000)]
    file.tracks.append(mido.MidiTrack(notes))
    file.save(tmp_path / "long.mid")
    with pytest.raises(ValueError, match=r"long\.mid: expected at most 1800 s, got 2000 s"):
        read_score(tmp_path / "long.mid", ANALYSIS)
