"""What `play` measures, on signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.measures.play import bass, held, levels, movement, scores, texture, treble
from benchmarks.measures.play.findings import Finding, summary
from benchmarks.measures.play.morph import Line
from benchmarks.measures.play.stage import Pair
from common.loudness import k_weighted, level_db, loudness
from common.patch import Patch
from daw_bridge.events import NoteOff
from synth.mel import Analysis

RATE = 16_000
WHOLE_S = scores.HELD_S + scores.RELEASE_S


def sine(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def falling(db_a_second: float, level_db: float = -6.0) -> np.ndarray:
    """A held C4 that falls so fast and ends 12 s after its onset."""
    seconds = np.arange(round(WHOLE_S * RATE)) / RATE
    tone = sine(261.6, WHOLE_S) * 10 ** ((level_db - db_a_second * seconds) / 20)
    return np.where(seconds < scores.HELD_S, tone, 0).astype(np.float32)


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(0, 0.05, round(seconds * rate)).astype(np.float32)


def by_figure(found: list[Finding]) -> dict[str, Finding]:
    return {finding.figure: finding for finding in found}


def test_a_falling_tone_has_the_level_it_should_at_each_moment():
    found = by_figure(held.findings("p", 60, Pair(falling(2.0), falling(1.0, -20.0), RATE)))
    for at in (1, 3, 6, 11):
        finding = found[f"dB at {at} s"]
        assert finding.ours == pytest.approx(-2 * (at - 0.5), abs=0.1)
        assert finding.original == pytest.approx(-(at - 0.5), abs=0.1)
        assert finding.miss == pytest.approx((at - 0.5) / 6, abs=0.03)
    assert [f.ok for f in found.values()] == [True, True, True, False, True]
    assert found["dB 2 s after"].ours == found["dB 2 s after"].original < -58


def test_what_drones_on_after_the_release_or_in_place_of_silence_is_not_ok():
    drone = falling(0.0)
    drone[round(12.2 * RATE) :] = sine(261.6, WHOLE_S - 12.2) * 0.005
    found = held.findings("p", 60, Pair(drone, falling(0.0), RATE))
    assert [f.ok for f in found] == [True, True, True, True, False]
    # -40 dB for ever, where the original has gone.
    stays = np.maximum(np.abs(falling(20.0)), 0.005) * np.sign(falling(0.0))
    assert [f.ok for f in held.findings("p", 60, Pair(stays, falling(20.0), RATE))][2:4] == [
        False,
        False,
    ]


def test_how_a_beat_falls_does_not_decide_about_a_held_tone():
    tones = [sine(f, WHOLE_S) for f in (440.0, 441.3)]
    beating = 0.3 * (tones[0] + 0.8 * tones[1])
    other = 0.3 * (tones[0] - 0.8 * tones[1])
    found = held.findings("p", 69, Pair(beating, other, RATE))
    reference = [held.level_at(x, RATE, 0.5, 0.2) for x in (beating, other)]
    apart = reference[0] - reference[1]
    for finding in found[1:4]:
        assert finding.ours - finding.original + apart == pytest.approx(0, abs=2)


def test_movement_is_that_of_a_tremolo_and_not_of_a_slow_fall():
    seconds = np.arange(round(WHOLE_S * RATE)) / RATE
    depth_db = 3.0
    tremolo = falling(1.0) * 10 ** (depth_db * np.sin(2 * np.pi * 3 * seconds) / 20)
    ours, original = movement.movement(
        Pair(falling(1.0), tremolo.astype(np.float32), RATE), Analysis()
    )
    # A sine of 3 dB has a standard deviation of 2.1; a window of 64 ms sees a little less.
    assert original == pytest.approx(depth_db / np.sqrt(2), abs=0.3)
    assert ours < 0.1
    (finding,) = movement.findings("p", 60, Pair(tremolo, tremolo, RATE), Analysis())
    assert finding.miss == 0 and finding.ok


def test_movement_is_not_asked_of_a_note_that_is_gone():
    gone = Pair(falling(1.0), falling(30.0), RATE)
    assert movement.findings("p", 60, gone, Analysis()) == []


def test_two_takes_of_a_noise_have_one_texture_and_a_tone_another():
    one, two = noise(6.0, seed=1), noise(6.0, seed=2)
    steps = np.where(np.arange(len(one)) // 2_000 % 2, 1.0, 0.1).astype(np.float32)
    assert texture.distance(Pair(one, one, RATE)) == 0
    near = texture.distance(Pair(two, one, RATE))
    assert near < 0.15
    for other in (sine(440, 6.0), 0.1 * sine(440, 6.0) + 0.001 * one, one * steps):
        assert texture.distance(Pair(other, one, RATE)) > 2.5 * near
    assert texture.distance(Pair(two * np.float32(0.1), one, RATE)) == pytest.approx(near, abs=0.01)


def test_the_texture_of_a_tremolo_is_known():
    seconds = np.arange(6 * RATE) / RATE
    tremolo = (sine(1_000, 6.0) * (1 + 0.2 * np.sin(2 * np.pi * 6 * seconds))).astype(np.float32)
    known = texture.texture(tremolo, RATE)
    loudest = int(known.mean.argmax())
    # Compression takes 0.3 of a small depth, of which a sine's deviation is 0.71.
    assert known.spread[loudest] == pytest.approx(0.3 * 0.2 / np.sqrt(2), rel=0.05)
    # 6 Hz lies in the octave from 4 to 8.
    assert known.modulation[loudest].argmax() == 4 and known.modulation[loudest, 4] > 0.95
    assert (known.modulation**2).sum(axis=1).max() <= 1.001


def test_band_envelopes_of_a_sine_stand_still_at_its_level():
    envelopes = texture.band_envelopes(0.5 * sine(1_000, 2.0), RATE)
    assert envelopes.shape == (texture.BANDS, 800)
    # Neighbours share a tone: the squares of their weights sum to one.
    levels_ = envelopes[:, 100:-100].mean(axis=1) ** (1 / texture.COMPRESSION)
    assert np.sqrt((levels_**2).sum()) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("key", scores.BASS_KEYS)
def test_each_partial_is_told_at_its_level(key):
    hertz = 440 * 2 ** ((key - 69) / 12)
    wanted = np.array([-20.0, 0.0, -3.0, -40.0, -10.0, -12.0, -25.0, -6.0])
    tone = sum(10 ** (db / 20) * sine(n * hertz, 1.6) for n, db in enumerate(wanted, 1))
    flat = sum(10 ** (db / 20) * sine(n * hertz, 1.6) for n, db in enumerate(wanted - 7, 1))
    np.testing.assert_allclose(bass.partials_db(tone, RATE, key), wanted, atol=0.5)
    lost = tone - 0.1 * sine(hertz, 1.6) + 0.1 * sine(1.18 * hertz, 1.6)
    (finding,) = bass.findings("p", key, Pair(lost, tone, RATE))
    # What sounds three semitones above is not that partial.
    assert finding.figure == "partial 1, dB; 6 of 7 fit" and finding.ours < -40
    assert finding.original == pytest.approx(-20, abs=0.5) and not finding.ok
    assert bass.findings("p", key, Pair(flat, tone, RATE))[0].ok


def test_loudness_is_that_of_the_standard():
    # ITU-R BS.1770-4: a sine of 997 Hz at full scale, in one channel, is at -3.01.
    assert loudness(sine(997, 5.0, 48_000), 48_000) == pytest.approx(-3.01, abs=0.01)
    assert loudness(sine(997, 5.0), RATE) == pytest.approx(-3.01, abs=0.06)
    assert loudness(np.zeros(RATE), RATE) == -120
    # The gate leaves the silence out.
    pause = np.concatenate([sine(997, 5.0, 48_000), np.zeros(48_000 * 20, np.float32)])
    assert loudness(pause, 48_000) == pytest.approx(-3.01, abs=0.15)
    # An impulse's answer begins with the product of the two filters' stated coefficients.
    impulse = np.eye(1, 4_000)[0]
    first = k_weighted(impulse, 48_000)[0]
    assert first == pytest.approx(1.53512485958697, rel=1e-4)


def test_peaks_are_those_of_the_louder_channel_at_the_patchs_gain():
    pair = Pair(0.5 * sine(440, 1.0), sine(440, 1.0), RATE)
    (middle,) = levels.peaks(Patch("p", (0.0,), {}), "chord", pair)
    assert middle.ours == pytest.approx(-9.03, abs=0.01)
    assert middle.original == pytest.approx(-3.01, abs=0.01) and middle.ok
    (left,) = levels.peaks(Patch("p", (0.0,), {}, gain_db=4.0, pan=-1.0), "chord", pair)
    assert left.ours == pytest.approx(-2.02, abs=0.01) and not left.ok


def test_velocities_are_told_relative_to_80():
    ours = {20: 0.01, 80: 0.1, 127: 0.2}
    original = {20: 0.02, 80: 0.1, 127: 0.2}
    tone = sine(440, 1.0)
    pairs = {v: Pair(ours[v] * tone, original[v] * tone, RATE) for v in ours}
    low, high = levels.curve("p", pairs)
    assert (low.played, low.ours) == ("velocity 20", pytest.approx(-20))
    assert low.original == pytest.approx(-13.98, abs=0.01) and not low.ok
    assert high.ours == pytest.approx(6.02, abs=0.01) and high.ok


def test_treble_is_compared_by_third_octaves_where_there_is_any():
    white = noise(3.0, rate=48_000)
    found = treble.findings("p", Pair(0.5 * white, white, 48_000))
    assert [f.figure for f in found] == [
        "dB in 8.0-10.1 kHz",
        "dB in 10.1-12.7 kHz",
        "dB in 12.7-16.0 kHz",
        "dB in 16.0-20.2 kHz",
    ]
    assert all(f.ours - f.original == pytest.approx(-6.02, abs=0.01) for f in found)
    # White noise has as much power in each Hz.
    for finding, width in zip(found, np.diff(treble.EDGES_HZ), strict=True):
        wanted = level_db(white) + 10 * np.log10(width / 24_000)
        assert finding.original == pytest.approx(wanted, abs=0.3)
    assert treble.findings("p", Pair(white, white, RATE)) == []
    low = 0.1 * sine(1_000, 3.0, 48_000)
    hiss = low + 1e-6 * white
    assert all(f.miss == 0 for f in treble.findings("p", Pair(low, hiss, 48_000)))


def test_a_line_is_off_where_it_leaves_its_ends():
    line = Line("a", "b", np.array([-24.0, -22.0, -8.0, -30.0, -28.0]), np.zeros(5))
    assert line.off_db.tolist() == [0, 2, 16, 2, 0]


def test_the_summary_counts_and_names_the_worst():
    found = [
        Finding("bass", "a", "A0", "dB", 1.0, 2.0, "within 6", 0.5),
        Finding("bass", "b", "A1", "dB", 9.0, 2.0, "within 6", 1.2),
        Finding("texture", "a", "C4", "distance", 0.2),
        Finding("texture", "b", "C4", "distance", 0.4),
    ]
    one, two = (finding.row() for finding in summary(found))
    assert (one["patch"], one["ours"], one["original"], one["ok"]) == ("bass", 1, 2, False)
    assert one["played"] == "worst: b, A1, dB"
    assert (two["patch"], two["ours"], two["ok"]) == ("texture", 0.3, None)


def test_onsets_of_every_score_lie_on_frames():
    every = [scores.phrase(), scores.held(60), scores.dynamics(80), scores.chord((60, 64), 100)]
    for strikes in every:
        for event in scores.events(strikes, 48_000, at=0.2):
            assert isinstance(event, NoteOff) or event.time % 384 == 0
        assert all(21 <= key <= 108 and 1 <= v <= 127 and a < b for a, b, key, v in strikes)


def test_no_key_of_the_phrase_is_struck_while_it_sounds():
    ends: dict[int, float] = {}
    for onset, release, key, _ in sorted(scores.phrase()):
        assert onset >= ends.get(key, 0)
        ends[key] = release
    assert max(ends.values()) < scores.PHRASE_S
