"""The encoder learns from a bank alone, and says of a recording which point it sounds like."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from synth.bank.bank import Bank, load_bank
from synth.mel import log_mel
from trainer.encoder.guess import FILE, guess_of, load_encoder
from trainer.encoder.levels import DB, levels_of
from trainer.encoder.network import Encoder, EncoderConfig
from trainer.encoder.settings import EncoderSettings, EncoderSizes
from trainer.encoder.training import NOISE_DB, Recorded, train
from trainer.run.plan import TrainingPlan
from trainer.run.weights import read_config

SIZES = EncoderSizes(channels=16, layers=2)


@pytest.fixture(scope="module")
def run(toy_bank: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 250 steps on the toy bank."""
    folder = tmp_path_factory.mktemp("runs") / "encoder"
    train(plan(data, folder, 250), EncoderSettings(SIZES, toy_bank, 150))
    return folder


def plan(data: Path, run: Path, iterations: int) -> TrainingPlan:
    return TrainingPlan(
        data=data,
        run=run,
        batch=8,
        frames=64,
        halve_every=1_000,
        learning_rate=3e-3,
        iterations=iterations,
        device="cpu",
    )


@pytest.fixture
def taught(toy_bank: Path, run: Path, tmp_path: Path) -> Bank:
    """The toy bank with that encoder beside it."""
    folder = shutil.copytree(toy_bank, tmp_path / "bank")
    shutil.copy(run / "best.safetensors", folder / FILE)
    return load_bank(folder)


def tone(bank: Bank, seconds: float, level: float = 1.0) -> torch.Tensor:
    """Log mel bands of a sine."""
    time = torch.arange(round(seconds * bank.analysis.rate)) / bank.analysis.rate
    return log_mel(level * torch.sin(2 * torch.pi * 440 * time), bank.analysis)


def test_it_learns_where_points_lie(run, data, toy_bank, tmp_path):
    train(plan(data, tmp_path / "short", 1), EncoderSettings(SIZES, toy_bank, 150))
    before, after = (
        json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["validation"]
        for folder in (tmp_path / "short", run)
    )
    assert after < 0.8 * before


def test_a_run_goes_on_with_the_same_bank_and_no_other(run, data, toy_bank, another, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    train(plan(data, copy, 251), EncoderSettings(SIZES, toy_bank, 150))
    assert json.loads((copy / "log.jsonl").read_text().splitlines()[-1])["iteration"] == 251
    with pytest.raises(ValueError, match=r"of another configuration \(bank: "):
        train(plan(data, copy, 252), EncoderSettings(SIZES, another, 150))


@pytest.fixture
def another(toy_bank: Path, tmp_path: Path) -> Path:
    """The toy bank with other weights."""
    folder = shutil.copytree(toy_bank, tmp_path / "other")
    change_weights(folder)
    return folder


def change_weights(folder: Path) -> None:
    path = folder / "mel2mel.safetensors"
    weights = load_file(path)
    save_file(weights | {"mel.bias": weights["mel.bias"] + 1}, path)


@pytest.mark.parametrize("seconds", [0.3, 4.0, 15.0])
def test_it_guesses_a_point_of_the_span(taught, seconds):
    point = guess_of(load_encoder(taught), tone(taught, seconds)).tolist()
    assert len(point) == taught.embedding_size
    assert all(low <= x <= high for x, (low, high) in zip(point, taught.span, strict=True))


def test_how_loud_a_recording_is_does_not_matter(taught):
    encoder = load_encoder(taught)
    loud, soft = (guess_of(encoder, tone(taught, 3.0, level)) for level in (1.0, 0.01))
    torch.testing.assert_close(soft, loud, atol=1e-2, rtol=0)


def test_a_bank_without_one_has_none(toy_bank):
    assert load_encoder(load_bank(toy_bank)) is None


def test_one_of_another_bank_is_refused(taught):
    stated = read_config(taught.path / FILE)
    encoder = Encoder(
        EncoderConfig(**stated | {"low": tuple(stated["low"]), "high": tuple(stated["high"])})
    )
    assert encoder.diameter == pytest.approx(
        float(np.linalg.norm([high - low for low, high in taught.span]))
    )
    change_weights(taught.path)
    with pytest.raises(ValueError, match="encoder.safetensors: was taught by another bank"):
        load_encoder(load_bank(taught.path))


def test_lessons_have_noise_and_slopes_as_drawn():
    mel = torch.full((1, 3, 4), -2.0)
    mel[..., 0] = -40.0
    silent = torch.zeros(1, 3, 1)
    slope = torch.tensor([0.0, 0.0, 0.5, -torch.inf]).expand(1, 1, 4)
    floor = NOISE_DB[0] / DB
    noise = torch.tensor([floor, floor, floor, -torch.inf]).expand(1, 1, 4)
    heard = Recorded(mel, torch.zeros(1, 2), silent, slope, noise).heard()
    loudest = -1.5
    assert heard[0, 0].tolist() == pytest.approx([loudest + floor, -2, -1.5, -np.inf], abs=1e-3)
    levels = levels_of(heard)
    assert levels[0, 0, 2] == 1 and levels[0, 0, 3] == 0 and levels[0, 0, 0] == 0
    assert 0 < levels[0, 0, 1] < 1
