"""The teacher: bit-identical from run to run, silent until it is played, and in tune."""

from __future__ import annotations

import numpy as np
import pytest

from daw_bridge.events import SUSTAIN, NoteOff, NoteOn, Pedal
from trainer.data.fluidsynth import FluidSynth
from trainer.data.plan import SOUNDFONT

RATE = 16_000
A4 = [NoteOn(8_000, 1, 69, 100), NoteOff(40_000, 1, 69)]


@pytest.fixture(scope="module")
def tiny(soundfont) -> FluidSynth:
    return FluidSynth(soundfont)


@pytest.fixture(scope="module")
def general(soundfont) -> FluidSynth:
    if not SOUNDFONT.is_file():
        pytest.skip(f"no {SOUNDFONT} (Debian: musescore-general-soundfont-small)")
    return FluidSynth(SOUNDFONT)


def cents_from(audio: np.ndarray, pitch: float) -> float:
    """How far the strongest partial near pitch lies from it."""
    size = 2**18
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), size))
    frequencies = np.fft.rfftfreq(size, 1 / RATE)
    near = np.abs(1200 * np.log2(np.maximum(frequencies, 1) / pitch)) < 100
    return float(1200 * np.log2(frequencies[near][spectrum[near].argmax()] / pitch))


def test_the_synth_lead_plays_a4_at_440_hz(general):
    audio = general.render(A4, 80, RATE, 3.0)
    assert np.abs(audio[12_000:36_000]).mean() > 1e-3
    assert abs(cents_from(audio[12_000:36_000], 440.0)) < 5


def test_the_general_soundfont_renders_bit_identically(general):
    first = general.render(A4, 0, RATE, 3.0)
    general.render([NoteOn(0, 1, 40, 127)], 48, RATE, 0.5)
    assert np.array_equal(first, general.render(A4, 0, RATE, 3.0))


def test_a_second_synth_renders_the_same(tiny, soundfont):
    assert np.array_equal(
        tiny.render(A4, 80, RATE, 3.0), FluidSynth(soundfont).render(A4, 80, RATE, 3.0)
    )


def test_it_is_silent_before_the_first_note_and_starts_on_time(tiny):
    audio = tiny.render(A4, 0, RATE, 3.0)
    # The resampler's filter rings a few milliseconds ahead of the onset, far below hearing.
    assert np.abs(audio[:7_800]).max() < 1e-6
    assert np.abs(audio[:7_990]).max() < 1e-3
    assert np.abs(audio[8_000:8_160]).max() > 1e-2


def test_a_key_sounds_until_it_is_let_go_unless_the_pedal_holds_it(tiny):
    held = [A4[0], Pedal(20_000, 1, SUSTAIN, True), A4[1]]
    late = slice(44_000, 47_000)
    assert np.abs(tiny.render(A4, 0, RATE, 3.0)[late]).max() < 1e-4
    assert np.abs(tiny.render(held, 0, RATE, 3.0)[late]).max() > 1e-2


def test_velocity_makes_it_louder(tiny):
    peaks = [
        np.abs(tiny.render([NoteOn(0, 1, 69, v)], 0, RATE, 0.5)).max() for v in (20, 60, 100, 127)
    ]
    assert peaks == sorted(peaks) and peaks[-1] > 4 * peaks[0]


@pytest.mark.parametrize("seconds", [0.1, 0.12345, 1.00003])
def test_it_is_as_long_as_asked(tiny, seconds):
    assert tiny.render([], 0, RATE, seconds).shape == (round(seconds * RATE),)


def test_a_missing_program_is_refused_not_replaced(tiny):
    with pytest.raises(ValueError, match="tiny.sf2: has no program 12"):
        tiny.render(A4, 12, RATE, 0.5)


def test_a_missing_or_broken_soundfont_is_told_by_name(soundfont, tmp_path):
    with pytest.raises(ValueError, match="nowhere.sf2: no such SoundFont"):
        FluidSynth(tmp_path / "nowhere.sf2")
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(soundfont.read_bytes()[:400])
    with pytest.raises(ValueError, match="broken.sf2: not a SoundFont"):
        FluidSynth(broken)
