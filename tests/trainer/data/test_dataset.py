"""Sequences to learn from: every instrument its share, sound and score exactly aligned."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from synth.mel import Analysis, magnitudes
from synth.mel2mel.keys import initial_keys, play_keys
from tests.trainer.tiny_data import HOP, INSTRUMENTS, write_excerpt, write_manifest
from trainer.data.dataset import DataSet, Shard, framed_magnitudes, load_excerpt

ANALYSIS = Analysis()
WINDOW, HALF = ANALYSIS.window, ANALYSIS.window // 2


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def train(data: Path) -> DataSet:
    return DataSet(data, "train", frames=40)


@pytest.fixture(scope="module")
def lone(tmp_path_factory) -> DataSet:
    """One excerpt of 900 frames: an impulse and an onset at frame 700, a key held throughout."""
    folder = tmp_path_factory.mktemp("lone")
    audio, roll = np.zeros(900 * HOP, np.int16), np.zeros((900, 176), np.uint8)
    audio[700 * HOP] = 32767
    roll[700:720, 40] = roll[700, 128] = 127
    roll[:, 10] = roll[0, 98] = 64
    roll[20:30, 50] = roll[20, 138] = 100
    write_excerpt(folder / "train" / "one.npz", audio, roll, "bell")
    write_manifest(folder, {"bell": 14})
    return DataSet(folder, "train", frames=120)


def test_a_batch_has_the_stated_shapes_and_ranges(train):
    drawn = train.draw(5, WINDOW, generator(0))
    assert drawn.audio.shape == (5, 40 * HOP + WINDOW) and drawn.audio.abs().max() <= 1
    assert drawn.roll.shape == (5, 40, 176) and 0 <= drawn.roll.min() <= drawn.roll.max() <= 1
    assert drawn.velocity.shape == drawn.age.shape == drawn.rest.shape == (5, 40, 88)
    assert drawn.instrument.shape == (5,)


def test_shares_are_the_whole_together_and_draw_in_step(tmp_path):
    """Two names, one of which ends with the other, in a folder of seven excerpts each."""
    audio, roll = np.zeros(50 * HOP, np.int16), np.zeros((50, 176), np.uint8)
    for number in range(7):
        for patch in ("piano", "electric-piano"):
            audio[0] += 1
            write_excerpt(tmp_path / "train" / f"{number:04d}-{patch}.npz", audio, roll, patch)
    write_manifest(tmp_path, {"piano": 0, "electric-piano": 4})
    shares = [DataSet(tmp_path, "train", 40, share=Shard(rank, 2)) for rank in range(2)]
    first = [[int(e.audio[0]) for e in share.excerpts] for share in shares]
    assert sorted(first[0] + first[1]) == list(range(1, 15))
    assert [len(own) for share in shares for own in share.by_instrument] == [4, 4, 3, 3]
    random = [generator(3), generator(3)]
    drawn = [
        s.draw(4, WINDOW, r, Shard(n, 2))
        for n, (s, r) in enumerate(zip(shares, random, strict=True))
    ]
    assert random[0].get_state().equal(random[1].get_state())
    assert sorted(torch.cat([d.instrument for d in drawn]).tolist()) == [0] * 4 + [1] * 4
    with pytest.raises(ValueError, match="no excerpt of piano, or for 8 processes"):
        DataSet(tmp_path, "train", 40, share=Shard(7, 8))


@pytest.mark.parametrize("batch", [3, 7])
def test_each_instrument_has_its_share_of_a_batch(train, batch):
    for seed in range(5):
        counts = Counter(train.draw(batch, WINDOW, generator(seed)).instrument.tolist())
        assert counts.keys() == set(range(3))
        assert max(counts.values()) - min(counts.values()) <= 1


def test_small_batches_take_their_turns(train):
    random = generator(0)
    counts = Counter(int(train.draw(1, WINDOW, random).instrument) for _ in range(60))
    assert min(counts[i] for i in range(3)) > 8


def test_a_sequence_is_of_the_instrument_that_it_says(train):
    for seed in range(10):
        drawn = train.draw(3, WINDOW, generator(seed))
        for row, instrument in enumerate(drawn.instrument.tolist()):
            sources = train.by_instrument[instrument]
            samples = drawn.audio[row, HALF:-HALF].mul(32767).round().short().numpy()
            assert any(samples.tobytes() in e.audio.tobytes() for e in sources)


def test_an_impulse_lies_where_its_onset_is(lone):
    random, hits = generator(0), 0
    for _ in range(100):
        drawn = lone.draw(1, WINDOW, random)
        onset = drawn.roll[0, :, 128].nonzero()
        if len(onset):
            hits += 1
            assert int(drawn.audio[0].argmax()) == HALF + int(onset) * HOP
            assert drawn.audio[0].max() == 1
    assert hits > 3


def test_spectra_of_a_sequence_are_those_of_the_whole_excerpt(train):
    random = generator(3)
    for _ in range(5):
        drawn = train.draw(3, WINDOW, random)
        cut = framed_magnitudes(drawn.audio, ANALYSIS)
        assert cut.shape[1] == 40
        for row, instrument in enumerate(drawn.instrument.tolist()):
            wholes = [
                (magnitudes(torch.from_numpy(e.audio) / 32767, ANALYSIS), e.roll)
                for e in train.by_instrument[instrument]
            ]
            drawn_roll = (drawn.roll[row] * 127).round().byte().numpy()
            assert any(
                torch.allclose(cut[row], whole[start : start + 40], atol=1e-6)
                for whole, roll in wholes
                for start in range(len(roll) - 39)
                if np.array_equal(roll[start : start + 40], drawn_roll)
            )


def test_keys_of_a_sequence_stand_as_in_the_whole_excerpt(lone):
    roll = torch.from_numpy(lone.excerpts[0].roll).float()[None] / 127
    keys, _ = play_keys(roll, initial_keys(1))
    random, late = generator(1), 0
    for _ in range(20):
        drawn = lone.draw(1, WINDOW, random)
        starts = [s for s in range(781) if torch.equal(keys.age[:, s : s + 120], drawn.age)]
        assert starts
        assert torch.equal(keys.velocity[:, starts[0] : starts[0] + 120], drawn.velocity)
        assert torch.equal(keys.rest[:, starts[0] : starts[0] + 120], drawn.rest)
        assert torch.equal(roll[:, starts[0] : starts[0] + 120], drawn.roll)
        late += starts[0] > 550
        # The key that has been held since frame 0 is still held.
        assert (drawn.rest[0, :, 10] == 0).all()
    assert late > 2


def test_what_is_drawn_follows_from_the_generator(train):
    first, again = (train.draw(4, WINDOW, generator(9)) for _ in range(2))
    assert torch.equal(first.audio, again.audio) and torch.equal(first.roll, again.roll)
    random = generator(9)
    random.set_state(generator(9).get_state())
    assert torch.equal(train.draw(4, WINDOW, random).audio, first.audio)
    assert not torch.equal(train.draw(4, WINDOW, random).audio, first.audio)


def test_a_sequence_may_be_as_long_as_its_excerpt(data):
    whole = DataSet(data, "val", frames=500)
    drawn = whole.draw(3, WINDOW, generator(0))
    samples = drawn.audio[:, HALF:-HALF].mul(32767).round().short().numpy()
    for row, instrument in enumerate(drawn.instrument.tolist()):
        assert np.array_equal(samples[row], whole.by_instrument[instrument][0].audio)
    assert not drawn.audio[:, :HALF].any() and not drawn.audio[:, -HALF:].any()


def test_longer_sequences_than_excerpts_are_refused(data):
    with pytest.raises(ValueError, match="--frames: expected at most 500, .*val, got 501"):
        DataSet(data, "val", frames=501)


def test_what_is_missing_is_named(data, tmp_path):
    with pytest.raises(ValueError, match="manifest.yaml: no data set here"):
        DataSet(tmp_path, "train", 40)
    with pytest.raises(ValueError, match="test: no excerpts"):
        DataSet(data, "test", 40)
    part = shutil.copytree(data, tmp_path / "part")
    for path in (part / "train").glob("*-bell.npz"):
        path.unlink()
    with pytest.raises(ValueError, match="train: no excerpt of bell"):
        DataSet(part, "train", 40)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("programs: {reed: 20}\nrate: 16000\n", "hop is missing"),
        (
            "programs: {reed: 200}\nrate: 16000\nhop: 128\n",
            "programs: reed: expected at most 127",
        ),
        ("programs: [reed]\nrate: 16000\nhop: 128\n", "programs: expected a mapping, got .'reed'."),
        ("programs: {../reed: 2}\nrate: 16000\nhop: 128\n", "patch name '../reed'"),
        (
            "programs: {reed: 20}\nrate: fast\nhop: 128\n",
            "rate: expected a whole number, got",
        ),
        ("programs: {reed: 20\n", "not valid YAML"),
        ("", "expected a mapping, got None"),
    ],
)
def test_a_bad_manifest_is_told_in_one_line(tmp_path, text, complaint):
    (tmp_path / "manifest.yaml").write_text(text)
    with pytest.raises(ValueError, match=complaint) as raised:
        DataSet(tmp_path, "train", 40)
    assert "\n" not in str(raised.value)


def test_a_bad_excerpt_is_named(data, tmp_path):
    good = data / "train" / "0000-bell.npz"
    with pytest.raises(ValueError, match="0000-bell.npz: patch 'bell' is not one of reed"):
        load_excerpt(good, ["reed"])
    bad = tmp_path / "bad.npz"
    for content in (b"", b"no archive", good.read_bytes()[:2_000]):
        bad.write_bytes(content)
        with pytest.raises(ValueError, match="bad.npz: not an excerpt"):
            load_excerpt(bad, list(INSTRUMENTS))
    write_excerpt(bad, np.zeros(10, np.int16), np.zeros((1, 80), np.uint8), "bell")
    with pytest.raises(ValueError, match="bad.npz: not an excerpt .*80"):
        load_excerpt(bad, list(INSTRUMENTS))


@pytest.mark.parametrize("ranks", [2, 3])
def test_processes_have_a_whole_batch_between_them(train, ranks):
    whole = train.draw(6, WINDOW, generator(4))
    for rank in range(ranks):
        part = train.draw(6 // ranks, WINDOW, generator(4), Shard(rank, ranks))
        assert torch.equal(part.audio, whole.audio[rank::ranks])
        assert torch.equal(part.age, whole.age[rank::ranks])
        assert torch.equal(part.instrument, whole.instrument[rank::ranks])


def test_context_comes_along_with_silence_beyond_the_ends(data):
    before, after = 70, 30
    plain = DataSet(data, "train", frames=40)
    wide = DataSet(data, "train", frames=40, context=(before, after))
    for seed in range(20):
        one, other = (d.draw(3, WINDOW, generator(seed)) for d in (plain, wide))
        assert torch.equal(one.audio, other.audio)
        own = slice(before, before + 40)
        for name in ("roll", "velocity", "age", "rest"):
            whole = getattr(other, name)
            assert whole.shape[1] == before + 40 + after
            assert torch.equal(whole[:, own], getattr(one, name))
        for row, instrument in enumerate(one.instrument.tolist()):
            rolls = [e.roll for e in wide.by_instrument[instrument]]
            padded = [np.pad(roll, ((before, after), (0, 0))) for roll in rolls]
            drawn_roll = (other.roll[row] * 127).round().byte().numpy()
            length = before + 40 + after
            assert any(
                np.array_equal(roll[start : start + length], drawn_roll)
                for roll in padded
                for start in range(len(roll) - length + 1)
            )
