"""`trainer fit`: a recording becomes a patch that the bank plays, or one line says why not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
import yaml

from synth.bank.bank import Bank, load_bank
from synth.instrument import Instrument
from synth.mel import log_mel
from synth.vocoders.spectral.vocoder import SpectralVocoder
from tests.toy_bank import ANALYSIS
from trainer.__main__ import main
from trainer.encoder.guess import FILE, guess_of, load_encoder
from trainer.encoder.lessons import weights_digest
from trainer.encoder.network import Encoder, EncoderConfig
from trainer.fit.distance import listen
from trainer.fit.excerpts import choose_excerpts
from trainer.fit.fitting import fit_recording
from trainer.fit.recording import read_recording
from trainer.fit.score import Score
from trainer.fit.search import Search
from trainer.fit.takes import play_score, write_comparison
from trainer.run.checkpoint import save_weights

POINT = (0.3, 0.4)
LATE_S, GAIN = 0.8, 0.5


@pytest.fixture(scope="module")
def recording(toy: Bank, score: Score, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy bank plays the score at `POINT`, in stereo at 44.1 kHz, some time before its end."""
    instrument = Instrument(toy, SpectralVocoder(ANALYSIS))
    start = round(LATE_S * ANALYSIS.frame_rate)
    sound = GAIN * play_score(instrument, score, start, 700, POINT)
    path = tmp_path_factory.mktemp("sounds") / "take.flac"
    stereo = soxr.resample(np.stack([sound, sound], axis=1), ANALYSIS.rate, 44_100)
    soundfile.write(path, stereo, 44_100)
    return path


def flags(toy: Bank, recording: Path, folder: Path, *more: object) -> list[str]:
    told = ["fit", recording, "--bank", toy.path, "--name", "taken", "--out", folder / "own"]
    return [str(word) for word in (*told, "--report", folder / "report", *more)]


def test_a_recording_becomes_a_patch(toy, recording, midi, tmp_path, capsys):
    command = flags(toy, recording, tmp_path, "--midi", midi)
    assert main(command) == 0
    said = capsys.readouterr().out
    assert f"the score begins at {-LATE_S:.1f}" in said and "doubtful" not in said
    assert "outside" not in said
    patch = load_bank(toy.path, tmp_path / "own").patch("taken")
    assert patch.tags == ("fitted",) and patch.program is None
    fitted = patch.fitted
    assert (fitted.recording, fitted.score) == ("take.flac", "tune.mid")
    assert fitted.sha256 == read_recording(recording, ANALYSIS.rate).sha256
    assert fitted.gain_db == pytest.approx(20 * np.log10(GAIN), abs=1.0)
    # As near as the bank's own sound can be to what it predicts.
    assert fitted.distance_db == pytest.approx(fitted.own_db, abs=0.3)
    assert fitted.distance_db < fitted.nearest_db - 1 and fitted.nearest in toy.names
    takes, rate = soundfile.read(tmp_path / "report" / "taken.wav")
    assert rate == ANALYSIS.rate and len(takes) > 10 * rate
    # The recording and the patch are as loud as each other.
    half = len(takes) // 2
    first, second = (np.sqrt(np.mean(take**2)) for take in (takes[:half], takes[half:]))
    assert 20 * np.log10(second / first) == pytest.approx(0, abs=2.0)
    assert (tmp_path / "report" / "taken.png").read_bytes()[:4] == b"\x89PNG"

    before = (tmp_path / "own" / "taken.yaml").read_bytes()
    assert main(command) == 2
    assert "--name taken: that patch exists; take another" in capsys.readouterr().err
    assert (tmp_path / "own" / "taken.yaml").read_bytes() == before


def test_a_recording_without_its_score(toy, tmp_path, capsys):
    pytest.importorskip("librosa")
    time = np.arange(4 * ANALYSIS.rate) / ANALYSIS.rate
    tone = sum(np.sin(2 * np.pi * 220 * n * time) / n for n in range(1, 5))
    soundfile.write(tmp_path / "tone.wav", 0.2 * tone, ANALYSIS.rate)
    assert main(flags(toy, tmp_path / "tone.wav", tmp_path)) == 0
    said = capsys.readouterr().out
    assert "transcribed by pYIN" in said and "place" not in said
    assert "outside   this timbre lies outside the bank" in said
    told = yaml.safe_load((tmp_path / "own" / "taken.yaml").read_text())["fitted"]
    assert told["score"] == "transcribed by pYIN"
    assert (tmp_path / "report" / "taken.mid").is_file()


@pytest.fixture
def guessing(toy: Bank, tmp_path: Path) -> Bank:
    """The toy bank with an encoder that has learnt nothing."""
    folder = shutil.copytree(toy.path, tmp_path / "guessing")
    low, high = zip(*toy.span, strict=True)
    config = EncoderConfig(ANALYSIS.mels, low, high, weights_digest(toy), channels=8, layers=2)
    torch.manual_seed(0)
    save_weights(folder / FILE, Encoder(config).state_dict(), config, {}, {})
    return load_bank(folder)


def test_an_instant_patch_is_what_the_encoder_guesses(guessing, recording, tmp_path, capsys):
    assert main(flags(guessing, recording, tmp_path, "--instant")) == 0
    said = capsys.readouterr().out
    assert "guessed from take.flac" in said and "nearest" in said
    patch = load_bank(guessing.path, tmp_path / "own").patch("taken")
    heard = log_mel(
        torch.from_numpy(read_recording(recording, ANALYSIS.rate).audio), guessing.analysis
    )
    wanted = guess_of(load_encoder(guessing), heard).tolist()
    assert patch.embedding == pytest.approx(wanted, abs=1e-4) and patch.fitted is None
    assert not (tmp_path / "report").exists()


def test_a_guess_is_one_of_the_points_that_are_tried(guessing, recording, score):
    taken = read_recording(recording, ANALYSIS.rate)
    heard = log_mel(torch.from_numpy(taken.audio), guessing.analysis)
    guess = guess_of(load_encoder(guessing), heard)
    ear = listen(heard, taken, guessing.analysis)
    excerpts = choose_excerpts(score, 0, heard, 1)
    search = Search(guessing, guessing.mel2mel(), ear, excerpts, guess)
    assert any(torch.equal(point, guess) for point in search.starts())
    without = Search(guessing, guessing.mel2mel(), ear, excerpts)
    assert len(search.starts()) < len(without.starts())
    assert fit_recording(guessing, taken, score, placed=False).distance < 3


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--instant"], "--instant: "),
        (["--instant", "--midi", "a.mid"], "--instant: expected without --midi"),
        (["--name", "organ"], "--name organ: that patch exists; take another, or --overwrite"),
        (["--name", "../up"], "patch name '../up': must be 1 to 64 letters"),
        (["--midi", "gone.mid"], "gone.mid: no such file"),
        (["--bank", "nowhere"], "nowhere: no bank here"),
        (["--deep"], "--deep: the key templates of"),
        (["--voices", "many"], "--voices: expected one of 'one', 'several', got 'many'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(more, complaint, toy, recording, tmp_path, capsys):
    assert main(flags(toy, recording, tmp_path, *more)) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"trainer: {complaint}") and said.count("\n") == 1
    assert not (tmp_path / "own").exists()


def test_a_short_recording_is_fitted_as_far_as_it_goes(toy, recording, score, tmp_path):
    sound, rate = soundfile.read(recording)
    soundfile.write(tmp_path / "short.wav", sound[:rate], rate)
    short = read_recording(tmp_path / "short.wav", ANALYSIS.rate)
    found = fit_recording(toy, short, score, placed=False)
    assert len(found.original) == len(found.ours) <= len(short.audio)
    assert found.distance <= found.nearest_distance


def test_takes_that_would_clip_are_turned_down_together(tmp_path):
    takes = [np.full(100, 0.5, np.float32), np.full(100, -2.0, np.float32)]
    write_comparison(tmp_path / "two.wav", takes, 1_000)
    heard, _ = soundfile.read(tmp_path / "two.wav")
    assert heard[0] == pytest.approx(0.25 * 10 ** (-1 / 20))
    assert heard[-1] == pytest.approx(-(10 ** (-1 / 20)))
    assert len(heard) == 200 + 700
