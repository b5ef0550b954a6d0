"""The divergence benchmark, on the toy bank: nothing for the reference, little for the cpu."""

from __future__ import annotations

import json
import re

import pytest
import torch
import yaml

from benchmarks.__main__ import main
from benchmarks.measures import divergence
from benchmarks.measures.takes import load_takes, take_paths
from synth.bank.bank import load_bank
from synth.vocoders.wavenet.vocoder import WaveNetVocoder
from tests.benchmarks.tiny_takes import make_data
from tests.toy_bank import GUIDED, PATCHES, WAVENET, make_toy_bank


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(("sampler", "most"), [("reference", 1e-3), ("cpu", 10)])
@pytest.mark.parametrize("wavenet", [WAVENET, GUIDED])
def test_samplers_choose_as_the_network_does(data, tmp_path, sampler, most, wavenet):
    kept, bank = tmp_path / "rows.json", make_toy_bank(tmp_path / "bank", wavenet)
    flags = ["--bank", str(bank), "--data", str(data), "--sampler", sampler]
    assert main(["divergence", *flags, "--seconds", "0.3", "--json", str(kept)]) == 0
    rows = json.loads(kept.read_text())
    assert [row["instrument"] for row in rows] == [*(patch.name for patch in PATCHES), "all"]
    for row in rows:
        assert -1e-3 < row["kl_unats"] < most
        assert row["kl_unats"] <= row["kl_most_unats"]
        assert row["same_class"] > 0.99
        assert row["loss_nats"] == pytest.approx(row["loss_float32"], abs=1e-3)
    seconds = [row["seconds"] for row in rows]
    assert seconds[-1] == pytest.approx(sum(seconds[:-1]))


def test_a_bank_at_another_rate_than_its_wavenet_is_refused(data, tmp_path, capsys):
    bank = make_toy_bank(tmp_path / "bank", GUIDED)
    content = yaml.safe_load((bank / "bank.yaml").read_text())
    content["audio"] = {"rate": 48_000, "hop": 384, "window": 1_536, "wide_bands": 4}
    (bank / "bank.yaml").write_text(yaml.safe_dump(content))
    assert main(["divergence", "--bank", str(bank), "--data", str(data)]) != 0
    assert (
        "expected a bank at the rate of its WaveNet, 16000 Hz, got 48000" in capsys.readouterr().err
    )


def test_chunks_change_nothing_and_another_network_is_far(toy_bank, data, monkeypatch):
    bank = load_bank(toy_bank)
    wavenet, (name, *_) = bank.wavenet(), bank.names
    (take,) = load_takes(bank, take_paths(data, name, 1), name, 0.2)
    vocoder = WaveNetVocoder(wavenet, "cpu")
    whole = divergence.compare(wavenet, vocoder, take, bank.analysis)
    monkeypatch.setattr(divergence, "CHUNK_FRAMES", 7)
    parts = divergence.compare(wavenet, vocoder, take, bank.analysis)
    torch.testing.assert_close(parts["loss_float32"], whole["loss_float32"], rtol=0, atol=1e-5)
    torch.testing.assert_close(parts["loss_nats"], whole["loss_nats"], rtol=0, atol=1e-5)
    other = bank.wavenet()
    with torch.no_grad():
        other.end.weight.mul_(4)
    mixed = divergence._compare(*_two_logits(wavenet, other))
    assert mixed["kl_nats"].mean() > 1e-4


def _two_logits(one, other):
    generator = torch.Generator().manual_seed(9)
    mel = torch.randn(1, 2, one.config.mels, generator=generator)
    classes = torch.randint(256, (1, 2 * one.config.hop), generator=generator)
    draws = torch.rand(classes.shape[1], generator=generator)
    return one(mel, classes)[0], other(mel, classes)[0], classes[0], draws


def test_what_cannot_be_compared_is_told_in_one_line(toy_bank, data, capsys):
    flags = ["--bank", str(toy_bank), "--data", str(data), "--seconds", "0"]
    assert main(["divergence", *flags]) == 2
    assert "--seconds" in capsys.readouterr().err


def test_a_guide_that_is_never_heard_is_told_in_one_line(data, tmp_path, capsys):
    bank = make_toy_bank(tmp_path / "bank", GUIDED)
    flags = ["--bank", str(bank), "--data", str(data), "--seconds"]
    assert main(["divergence", *flags, "0.02"]) == 2
    said = capsys.readouterr().err
    least = re.search(r"--seconds 0.02: expected at least ([0-9.]+), [0-9]+ frames or more", said)
    assert least and said.count("\n") == 1
    assert main(["divergence", *flags, least[1]]) == 0
