"""The engine: offline is live, silence is free, and gains go with the sound they belong to."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from common.threads import cores_here, on_cores
from common.window import KEYS, LOWEST_KEY
from daw_bridge.events import AllSoundOff, Bend, Event, Level, NoteOn, Timbre
from daw_bridge.windows import Windows, stereo_gain
from synth.engine import Engine
from synth.limiter import KNEE
from synth.mel import band_centres
from synth.mel2mel.network import Mel2Mel
from synth.mixer import DECLICK_SAMPLES
from synth.predictor import Foreseen, Prediction, Streaming
from synth.ring_out import SPAN
from synth.vocoders.contract import Vocoder
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.vocoder import WaveNetVocoder
from tests.synth.scores import at, busy_score, note
from tests.toy_bank import (
    ANALYSIS,
    PATCHES,
    make_mel2mel,
    make_moving_mel2mel,
    make_wavenet,
)

HOP = ANALYSIS.hop
START = PATCHES[0].embedding
RING_OUT = 6
CENTRES = {head: band_centres(ANALYSIS, head) for head in ("fine", "mel")}


@dataclass(slots=True)
class Silent:
    """The state of `Draws`, which remembers nothing."""

    rows: Tensor


class Draws:
    """A vocoder that plays its random numbers, so that they can be heard."""

    head, hop, lookahead, draws_per_frame = "mel", HOP, 1, HOP

    def initial_state(self, batch: int) -> Silent:
        return Silent(torch.zeros(batch))

    def step(self, frames, state, draws, pitches=None) -> tuple[Tensor, Silent]:
        assert ((draws >= 0) & (draws < 1)).all()
        return draws.flatten(1) * 0.1, state


class Told:
    """A vocoder that plays the pitches it is told: key and bend of each frame, as numbers."""

    head, hop, lookahead, draws_per_frame = "fine", HOP, 0, 0

    def initial_state(self, batch: int) -> Silent:
        return Silent(torch.zeros(batch))

    def step(self, frames, state, draws, pitches=None) -> tuple[Tensor, Silent]:
        keys = (pitches.held * torch.arange(KEYS)).sum(-1)
        heard = 0.002 * (keys + pitches.bend)
        return heard[..., None].expand(-1, -1, HOP).flatten(1), state


class Keys:
    """A predictor whose spectra say of each frame whether a key sounds in it."""

    lookahead, moves = 0, False

    def initial_state(self, batch: int) -> Silent:
        return Silent(torch.zeros(batch))

    def step(self, rows, start, roll, embedding, state, late=None) -> Prediction:
        return Prediction(roll.any(-1, keepdim=True).float())


class Fading:
    """A vocoder that falls by 3 dB a frame once its spectrum is 0."""

    head, hop, lookahead, draws_per_frame = "mel", HOP, 0, 0

    def initial_state(self, batch: int) -> Silent:
        return Silent(torch.zeros(batch))

    def step(self, frames, state, draws, pitches=None) -> tuple[Tensor, Silent]:
        heard = []
        for keyed in frames.unbind(1):
            state = Silent(torch.where(keyed[:, 0] > 0, 0.3, 0.7 * state.rows))
            heard.append(state.rows[:, None].expand(-1, HOP))
        return torch.cat(heard, 1), state


class Counted(Streaming):
    """A streaming predictor that notes which parts it computed in which frames."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.computed: list[tuple[int, int]] = []

    def step(self, rows, start, roll, embedding, state, late=None) -> Prediction:
        self.computed += [(r, start + t) for r in rows for t in range(roll.shape[1])]
        return super().step(rows, start, roll, embedding, state, late)


@pytest.fixture(scope="module")
def net() -> Mel2Mel:
    return make_mel2mel()


@pytest.fixture(scope="module")
def vocoders() -> dict[str, Vocoder]:
    return {
        "spectral": SpectralVocoder(ANALYSIS),
        "wavenet": WaveNetVocoder(make_wavenet(), "cpu"),
        "draws": Draws(),
    }


@pytest.fixture
def make(net, vocoders):
    """A fresh engine."""

    def engine(vocoder="spectral", lookahead=2, ring_out=RING_OUT, seed=0) -> Engine:
        chosen = vocoders[vocoder]
        predictor = Streaming(net, chosen.head, lookahead)
        return Engine(predictor, chosen, ring_out, seed, CENTRES[chosen.head])

    return engine


def play(engine: Engine, events: Iterable[Event], frames: int, block: int = 16) -> np.ndarray:
    """Sound (frames * HOP, 2) of events, block by block, as a server would render it."""
    windows, heard, events = Windows(HOP, START), [], list(events)
    for start in range(engine.frame, engine.frame + frames, block):
        count = min(block, engine.frame + frames - start) if block > 1 else 1
        count = min(count, frames - len(heard) * block)
        due = [e for e in events if start * HOP <= e.time < (start + count) * HOP]
        heard.append(engine.render(windows.frames(due, start, count), count))
    sound = np.concatenate(heard)
    assert sound.shape == (frames * HOP, 2) and sound.dtype == np.float32
    return sound


def plans(engine: Engine, events: list[Event], frames: int) -> list[int]:
    """How many parts are awake in each frame."""
    windows, awake = Windows(HOP, START), []
    for frame in range(frames):
        due = [e for e in events if frame * HOP <= e.time < (frame + 1) * HOP]
        engine.render(windows.frames(due, frame, 1), 1)
        awake.append(engine.awake)
    return awake


def test_the_busy_score_is_busy(make):
    awake = plans(make(), busy_score(), 80)
    assert set(awake) == {0, 1, 2, 3}
    assert sum(a != b for a, b in zip(awake, awake[1:], strict=False)) >= 8


@pytest.mark.skipif(cores_here() < 2, reason="one core only")
def test_parts_on_all_cores_sound_as_on_one(net):
    def take(cores: set[int]) -> np.ndarray:
        with on_cores(cores):
            vocoder = SpectralVocoder(ANALYSIS)
            predictor = Streaming(make_moving_mel2mel(), "fine", 2)
        engine = Engine(predictor, vocoder, RING_OUT, 0, CENTRES["fine"])
        score = [e for part in range(1, 17) for e in note(part, 40 + 3 * part, part % 5, 20 + part)]
        score += [Timbre(at(3.5 * part), part, (0.1 * part, -0.5)) for part in range(1, 9)]
        return play(engine, sorted(score, key=lambda e: e.time), 60, 1)

    every = os.sched_getaffinity(0)
    assert np.array_equal(take(every), take({min(every)}))


def test_a_foreseen_piece_does_not_depend_on_blocks_either(net, vocoders):
    vocoder = vocoders["spectral"]
    whole = Windows(HOP, START).frames(busy_score(), 0, 80)
    takes = []
    for block in (1, 3, 16, 80):
        engine = Engine(Foreseen(net, "fine", whole), vocoder, RING_OUT, 0, CENTRES["fine"])
        assert engine.lookahead == 0 and engine.delay == vocoder.lookahead
        heard = []
        for start in range(0, 80, block):
            count = min(block, 80 - start)
            heard.append(engine.render([w.span(start, count) for w in whole], count))
        takes.append(np.concatenate(heard))
    assert np.abs(takes[0]).max() > 0.01
    assert all(np.array_equal(take, takes[0]) for take in takes)


def test_foreseen_spectra_are_those_of_the_whole_sequence(net):
    (window,) = Windows(HOP, START).frames([*note(4, 60, 1, 9), Timbre(at(5), 4, (1, 1))], 0, 20)
    foreseen = Foreseen(net, "fine", [window])
    roll, embedding = torch.from_numpy(window.roll)[None], torch.from_numpy(window.embedding)[None]
    wanted = net(roll, embedding, None).fine
    state = foreseen.initial_state(1)
    heard = [foreseen.step([4], t, roll[:, t : t + 5], embedding, state) for t in (0, 5, 10, 15)]
    spectra = torch.cat([some.spectra for some in heard], 1)
    torch.testing.assert_close(spectra, wanted, atol=1e-5, rtol=0)


def test_a_foreseen_cut_forgets_the_keys_before_it(net):
    score = [NoteOn(0, 4, 60, 100), AllSoundOff(at(9), 4), *note(4, 64, 12, 16)]
    (window,) = Windows(HOP, START).frames(score, 0, 20)
    (fresh,) = Windows(HOP, START).frames(note(4, 64, 3, 7), 0, 11)
    heard, wanted = (
        Foreseen(net, "fine", [w]).step([4], 0, torch.zeros(1, len(w.roll), 1), None, None).spectra
        for w in (window, fresh)
    )
    assert heard.shape == (1, 20, ANALYSIS.bands)
    torch.testing.assert_close(heard[:, 9:], wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("vocoder", ["wavenet", "draws"])
def test_the_seed_decides_the_draws(make, vocoder):
    score = [*note(1, 57, 2, 9), *note(2, 64, 5, 9)]
    first = play(make(vocoder, seed=3), score, 20)
    assert np.array_equal(play(make(vocoder, seed=3), score, 20), first)
    other = play(make(vocoder, seed=4), score, 20)
    sounding = [take.reshape(20, -1).any(axis=1).tolist() for take in (first, other)]
    assert sounding[0] == sounding[1]
    assert np.abs(other - first).max() > 0.01


def test_the_seed_is_nothing_to_a_vocoder_without_draws(make):
    score = note(1, 57, 2, 9)
    assert np.array_equal(play(make(seed=1), score, 20), play(make(seed=2), score, 20))


def test_draws_depend_on_part_and_frame_alone(make):
    alone = play(make("draws"), note(2, 60, 10, 12), 30)
    crowded = play(make("draws"), sorted(note(2, 60, 10, 12) + note(1, 50, 0, 3), key=by_time), 30)
    quiet_by_then = slice(14 * HOP, None)
    assert np.array_equal(crowded[quiet_by_then], alone[quiet_by_then])
    longer = play(make("draws"), note(2, 60, 5, 12), 30)
    assert np.array_equal(longer[10 * HOP :], alone[10 * HOP :])
    other_part = play(make("draws"), note(3, 60, 10, 12), 30)
    assert np.array_equal(other_part == 0, alone == 0)
    assert not np.array_equal(other_part, alone)
    frames = alone[10 * HOP : 14 * HOP].reshape(4, HOP, 2)
    assert not np.array_equal(frames[0], frames[1])


def by_time(event: Event) -> int:
    return event.time


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_that_is_none_is_refused(make, seed):
    with pytest.raises(ValueError, match=f"seed: expected 0 to 2.64 - 1, got {seed}"):
        make(seed=seed)


@pytest.mark.parametrize("ring_out", [0, 1, 6])
@pytest.mark.parametrize("lookahead", [0, 3])
def test_a_part_sleeps_once_it_has_rung_out(make, lookahead, ring_out):
    """Awake from its first key until the last frame of the ring-out has been heard."""
    engine = make("wavenet", lookahead, ring_out)
    assert engine.delay == lookahead
    awake = plans(engine, note(1, 57, 4, 9), 40)
    last = 8 + ring_out + engine.delay
    assert [frame for frame in range(40) if awake[frame]] == list(range(4, last + 1))


def test_sleep_is_free_exact_and_forgets_everything(net, vocoders):
    vocoder = vocoders["spectral"]
    predictor = Counted(net, vocoder.head, 2)
    engine = Engine(predictor, vocoder, RING_OUT, 0, CENTRES["fine"])
    first = play(engine, note(1, 57, 3, 9), 50, block=1)
    # Frames 9 .. are silent; the ring-out of frame 8 has been heard by frame 8 + 6 + delay.
    end = 8 + RING_OUT + engine.delay
    assert predictor.computed == [(1, frame) for frame in range(3, end + 1)]
    assert not first[: 3 * HOP].any() and first[end * HOP : (end + 1) * HOP].any()
    assert not first[(end + 2) * HOP :].any()
    assert engine.awake == 0
    again = play(engine, note(1, 57, 53, 59), 50, block=1)
    assert np.array_equal(again, first)


def test_parts_wake_and_sleep_on_their_own(net, vocoders):
    vocoder = vocoders["spectral"]
    predictor = Counted(net, vocoder.head, 0)
    score = sorted([*note(2, 57, 0, 40), *note(1, 64, 10, 11), *note(3, 50, 30, 31)], key=by_time)
    engine = Engine(predictor, vocoder, RING_OUT, 0, CENTRES["fine"])
    play(engine, score, 50, block=1)
    stay = RING_OUT + engine.delay
    wanted = {(2, t) for t in range(40 + stay)} & {(2, t) for t in range(50)}
    wanted |= {(1, t) for t in range(10, 11 + stay)} | {(3, t) for t in range(30, 31 + stay)}
    assert len(predictor.computed) == len(set(predictor.computed))
    assert set(predictor.computed) == wanted


FADE = 29
"""Frames after a key until `Fading` is below -100 dB."""


def fading(block: int, score: list[Event]) -> tuple[np.ndarray, list[int]]:
    """Sound of 400 frames, and how many parts were awake in each block."""
    engine = Engine(Keys(), Fading(), 1_000, 0, np.array([440.0]))
    windows, heard, awake = Windows(HOP, START), [], []
    for start in range(0, 400, block):
        count = min(block, 400 - start)
        due = [e for e in score if start * HOP <= e.time < (start + count) * HOP]
        heard.append(engine.render(windows.frames(due, start, count), count))
        awake.append(engine.awake)
    return np.concatenate(heard), awake


def test_a_part_sleeps_when_it_cannot_be_heard_and_no_block_changes_when():
    """Parts that fade at other times, wake, are cut, and sleep in the middle of blocks."""
    score = [note(part, 60, part, 10 + part) for part in range(1, 9)]
    score += [note(1, 60, 30, 31), note(2, 60, 100, 101), note(3, 60, 12 + FADE + SPAN, 80)]
    score += [[AllSoundOff(at(20), 4)], note(4, 60, 22, 25)]
    events = sorted((e for notes in score for e in notes), key=by_time)
    sound, awake = fading(1, events)
    assert max(awake) == 8 and awake[100 + FADE + SPAN] == 0
    assert sound[: at(100)].any() and not sound[at(100 + FADE + SPAN + 1) :].any()
    for block in (3, 16, 400):
        assert np.array_equal(fading(block, events)[0], sound), block


def test_the_frame_at_which_a_part_sleeps_is_told_by_its_sound():
    awake = fading(1, note(1, 60, 5, 8))[1]
    assert [frame for frame in range(400) if awake[frame]] == list(range(5, 7 + FADE + SPAN))


def test_parts_add_up(make):
    """As far as the limiter's knee and a matrix library's rounding let them."""
    first, second = note(1, 57, 2, 20), note(2, 64, 9, 20)
    together = play(make(), sorted(first + second, key=by_time), 45)
    assert np.abs(together).max() < KNEE
    apart = play(make(), first, 45) + play(make(), second, 45)
    np.testing.assert_allclose(together, apart, atol=1e-4)


@pytest.mark.parametrize("lookahead", [0, 4])
def test_the_sound_runs_exactly_its_delay_behind_the_score(make, vocoders, lookahead):
    engine = make(lookahead=lookahead)
    assert engine.lookahead == lookahead
    assert engine.delay == lookahead + vocoders["spectral"].lookahead
    sound = play(engine, note(1, 69, 20, 40), 60)[:, 0]
    onset = at(20 + engine.delay)
    level = np.sqrt(np.convolve(sound**2, np.ones(HOP) / HOP, "same"))
    steady = level[onset + 8 * HOP : onset + 16 * HOP].mean()
    crossed = int((level > steady / 2).argmax())
    # The frame's window spans two hops to either side; the neighbours decide how much counts.
    assert abs(crossed - onset) <= HOP


def at_gains(make, levels: list[Level], vocoder: str) -> np.ndarray:
    score = sorted([*note(1, 57, 2, 40), *levels], key=by_time)
    return play(make(vocoder), score, 50)


@pytest.mark.parametrize("vocoder", ["spectral", "wavenet"])
def test_a_gain_moves_with_its_own_frames_sound(make, vocoder):
    delay = make(vocoder).delay
    still = at_gains(make, [Level(0, 1, -12, 0)], vocoder)
    moved = at_gains(make, [Level(0, 1, -12, 0), Level(at(20), 1, -18, -1)], vocoder)
    turn = at(20 + delay)
    assert np.array_equal(moved[:turn], still[:turn])
    ratio = stereo_gain(-18, -1) / stereo_gain(-12, 0)
    after = turn + HOP
    np.testing.assert_allclose(moved[after:], still[after:] * ratio, atol=1e-6)
    ramp = 1 + np.arange(HOP)[:, None] / HOP * (ratio - 1)
    np.testing.assert_allclose(moved[turn:after], still[turn:after] * ramp, atol=1e-6)
    assert np.abs(still[turn:after]).max() > 0.005


def test_a_part_starts_at_its_gain_without_a_ramp(make):
    quiet = at_gains(make, [Level(0, 1, -20, 1)], "wavenet")
    loud = at_gains(make, [Level(0, 1, 0, 1)], "wavenet")
    loud[np.abs(loud) > KNEE] = 0  # the limiter's share
    np.testing.assert_allclose(quiet[loud != 0], loud[loud != 0] * 0.1, atol=1e-6)


def test_a_gain_moved_in_sleep_holds_from_the_first_sample(make):
    turned = Level(at(30), 1, -6, 1)
    score = [*note(1, 57, 2, 9), turned, *note(1, 57, 45, 50)]
    fresh = play(make(), [turned, *note(1, 57, 45, 50)], 70)
    assert np.array_equal(play(make(), score, 70)[at(30) :], fresh[at(30) :])
    assert fresh[:, 1].any()


def test_volume_0_is_silence(make):
    assert not at_gains(make, [Level(0, 1, -math.inf, 0)], "spectral").any()


@pytest.mark.parametrize("block", [1, 3, 40])
@pytest.mark.parametrize("lookahead", [0, 3])
def test_a_vocoder_is_told_of_keys_and_bends_with_their_own_frames(net, lookahead, block):
    """Of each take anew, as late as the spectra."""
    score = [Level(0, 1, 0, -1), Bend(0, 1, 0.5), *note(1, 31, 2, 10), Bend(at(6), 1, 2.0)]
    score += [Bend(at(20), 1, -1.0), *note(1, 26, 25, 30)]
    engine = Engine(Streaming(net, "fine", lookahead), Told(), RING_OUT, 0, CENTRES["fine"])
    heard = play(engine, sorted(score, key=by_time), 50, block)[HOP - 1 :: HOP, 0]
    for start, stop, key, bends in (
        (2, 10, 31, [0.5] * 4 + [2.0] * 4),
        (25, 30, 26, [-1.0] * 5),
    ):
        early = [bends[0]] * lookahead
        wanted = np.array([*early, *(key - LOWEST_KEY + bend for bend in bends), bends[-1]])
        told = heard[start : stop + lookahead + 1]
        np.testing.assert_allclose(told, 0.002 * wanted, atol=1e-6)


def test_a_cut_ends_the_sound_in_a_short_fade(make):
    """At whatever point of the wave: no step is larger than the wave's own."""
    whole = play(make(), note(1, 28, 0, 60), 60)
    own_step = np.abs(np.diff(whole[at(20) :], axis=0)).max()
    bare_steps = []
    for frame in range(25, 40):
        cut = play(make(), [*note(1, 28, 0, 60)[:1], AllSoundOff(at(frame), 1)], frame + 3)
        assert np.array_equal(cut[: at(frame)], whole[: at(frame)])
        assert np.array_equal(cut[at(frame)], cut[at(frame) - 1])
        assert not cut[at(frame) + DECLICK_SAMPLES :].any()
        assert np.abs(np.diff(cut[at(20) :], axis=0)).max() <= own_step
        bare_steps.append(np.abs(cut[at(frame) - 1]).max())
    assert max(bare_steps) > 1.5 * own_step, "none of these cuts would have clicked"


def test_a_note_begun_in_the_frame_of_a_cut_starts_from_silence(make):
    score = [NoteOn(0, 1, 45, 100), AllSoundOff(at(20.1), 1), *note(1, 64, 20.2, 30)]
    heard = play(make(), score, 50)
    fresh = play(make(), note(1, 64, 20.2, 30), 50)
    after = at(20) + DECLICK_SAMPLES
    assert np.array_equal(heard[after:], fresh[after:])
    assert heard[at(20) : after].any() and not fresh[at(20) : after].any()


def test_too_many_parts_are_squeezed_not_wrapped(make):
    score = [NoteOn(0, part, key, 127) for part in range(1, 17) for key in (45, 57)]
    sound = play(make(lookahead=0), score, 20)
    assert 0.9 < np.abs(sound).max() <= 1
    assert np.isfinite(sound).all()


def test_nothing_to_play_is_silence(make):
    engine = make()
    sound = engine.render([], 7)
    assert sound.shape == (7 * HOP, 2) and not sound.any()
    assert engine.frame == 7 and engine.awake == 0
