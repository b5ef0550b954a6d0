"""Any sound file becomes mono at the bank's rate, or is refused in one line."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import soundfile

from trainer.fit.recording import LEAD_S, LONGEST_S, read_recording


def tone(rate: int, seconds: float, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(("rate", "end"), [(44_100, ".wav"), (8_000, ".flac"), (48_000, ".ogg")])
def test_any_rate_and_channels(tmp_path, rate, end):
    path = tmp_path / f"tone{end}"
    left = tone(rate, 1.0)
    soundfile.write(path, np.stack([left, 0.5 * left], axis=1), rate)
    heard = read_recording(path, 16_000)
    assert heard.rate == 16_000 and heard.seconds == pytest.approx(1.0, abs=0.01)
    assert heard.top == rate / 2 and heard.name == path.name
    assert heard.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    spectrum = np.abs(np.fft.rfft(heard.audio[:16_000]))
    assert spectrum.argmax() == 440
    # The mean of both channels.
    assert np.abs(heard.audio[4_000:12_000]).max() == pytest.approx(0.375, abs=0.02)


def test_silence_before_the_first_sound_is_cut(tmp_path):
    path = tmp_path / "late.wav"
    soundfile.write(path, np.concatenate([np.zeros(32_000), tone(16_000, 1.0)]), 16_000)
    heard = read_recording(path, 16_000)
    assert heard.start == pytest.approx(2.0 - LEAD_S, abs=0.001)
    assert heard.seconds == pytest.approx(1.0 + LEAD_S, abs=0.001)


def test_a_long_recording_is_used_in_part(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(8_000, LONGEST_S + 5), 8_000)
    assert read_recording(path, 8_000).seconds == LONGEST_S


@pytest.mark.parametrize(
    ("sound", "complaint"),
    [
        (np.zeros(16_000), r"a\.wav: expected sound above -80 dB, got silence"),
        (tone(16_000, 0.1), r"a\.wav: expected at least 0.25 s of sound, got 0.10 s"),
        (np.array([0.1, np.nan] * 8_000), r"a\.wav: expected numbers in every sample, got NaN"),
        (np.zeros(0), r"a\.wav: expected sound above -80 dB, got silence"),
    ],
)
def test_what_cannot_be_fitted_to(tmp_path, sound, complaint):
    soundfile.write(tmp_path / "a.wav", sound, 16_000, subtype="FLOAT")
    with pytest.raises(ValueError, match=complaint):
        read_recording(tmp_path / "a.wav", 16_000)


def test_what_is_no_sound_file(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.wav: no such file"):
        read_recording(tmp_path / "gone.wav", 16_000)
    (tmp_path / "words.wav").write_text("not a sound")
    with pytest.raises(ValueError, match=r"words\.wav: not a sound file that can be read"):
        read_recording(tmp_path / "words.wav", 16_000)
    with pytest.raises(ValueError, match="expected a file, got a folder"):
        read_recording(tmp_path, 16_000)
