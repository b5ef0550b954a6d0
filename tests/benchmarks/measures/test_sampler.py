"""The sampler benchmark's machinery, with the toy bank; and its yardstick, held to ours."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import save_file

from benchmarks.__main__ import main
from benchmarks.measures.sampler import timed
from benchmarks.rivals import c_probe, plain_graph, plain_loop
from common.threads import cores_here
from synth.mel import Analysis
from synth.mel2mel.network import Mel2Mel
from synth.vocoders.wavenet.samplers import reference as sampler_reference
from synth.vocoders.wavenet.samplers.contract import initial_state
from tests.toy_bank import ANALYSIS, GUIDED, MEL2MEL, WAVENET, make_toy_bank, make_wavenet


def test_the_plain_loop_draws_what_the_reference_draws():
    weights = make_wavenet().weights()
    generator = torch.Generator().manual_seed(5)
    mel = torch.randn(2, 60, WAVENET.mels, generator=generator)
    draws = torch.rand(2, 60, generator=generator)
    heard = []
    for room in (plain_loop, sampler_reference):
        state = initial_state(WAVENET.dilations, WAVENET.residual, 2)
        packed = room.pack(weights)
        blocks = []
        for at in (slice(0, 17), slice(17, 60)):
            drawn, state = room.sample(packed, mel[:, at], state, draws[:, at])
            blocks.append(drawn)
        heard.append(torch.cat(blocks, 1))
    assert torch.equal(*heard)
    assert len(heard[0].unique()) > 10


def test_a_sample_of_the_graph_is_one_of_the_plain_loop():
    weights = make_wavenet().weights()
    generator = torch.Generator().manual_seed(5)
    mel = torch.randn(2, 60, WAVENET.mels, generator=generator)
    draws = torch.rand(2, 60, generator=generator)
    state = initial_state(WAVENET.dilations, WAVENET.residual, 2)
    wanted, _ = plain_loop.sample(weights, mel, state, draws)
    state = initial_state(WAVENET.dilations, WAVENET.residual, 2)
    drawn, at = torch.empty(2, 60, dtype=torch.long), torch.zeros(1, dtype=torch.long)
    for _ in range(60):
        plain_graph.step(weights, mel, state, draws, drawn, at)
    assert torch.equal(drawn, wanted)
    assert state.position.tolist() == [60, 60]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("name", ["triton", "torch-gpu", "torch-graph"])
def test_without_a_gpu_its_rows_are_refused_in_one_line(toy_bank, capsys, name):
    assert main(["sampler", "--bank", str(toy_bank), "--sampler", name]) == 2
    said = capsys.readouterr().err
    assert name in said and "NVIDIA GPU" in said and said.count("\n") == 1


@pytest.mark.parametrize("guide", [0, 4])
def test_rows_for_every_stage_width_and_block(toy_bank, tmp_path, guide):
    kept = tmp_path / "rows.json"
    flags = ["--bank", str(toy_bank), "--streams", "1", "2", "--block-frames", "1", "3"]
    flags += ["--lookahead", "0", "4", "--layers", "3", "--residual", "8", "--skip", "16"]
    flags += ["--guide", str(guide)]
    assert main(["sampler", *flags, "--least-s", "0", "--json", str(kept)]) == 0
    rows = json.loads(kept.read_text())
    kinds = {
        "sampler": {"cpu", "reference", "torch"} | ({"c-probe"} if c_probe.available() else set()),
        "mel2mel": {"lookahead 0", "lookahead 4"},
        "vocoder": {"spectral", "wavenet, cpu", "wavenet, reference"},
    }
    wanted = {
        (stage, kind, streams, block)
        for stage, names in kinds.items()
        for kind in names
        for streams in (1, 2)
        for block in (1, 3)
    }
    names = ("stage", "sampler", "streams", "block_frames")
    assert {tuple(row[name] for name in names) for row in rows} == wanted
    assert len(rows) == len(wanted)
    for row in rows:
        speed = row["samples_per_second"]
        assert row["real_time_factor"] == pytest.approx(
            speed / row["streams"] / 16_000, rel=2e-3, abs=1e-4
        )
        assert row["ms_per_frame"] == pytest.approx(
            1000 * 128 * row["streams"] / speed, rel=2e-3, abs=1e-4
        )


def test_at_48_khz_a_wavenets_samples_are_those_it_draws(tmp_path):
    bank, kept = make_toy_bank(tmp_path / "bank", GUIDED), tmp_path / "rows.json"
    content = yaml.safe_load((bank / "bank.yaml").read_text())
    content["audio"] = {"rate": 48_000, "hop": 384, "window": 1_536}
    (bank / "bank.yaml").write_text(yaml.safe_dump(content))
    mel2mel = Mel2Mel(replace(MEL2MEL, analysis=Analysis(48_000, 384, 1_536, ANALYSIS.mels)))
    save_file(mel2mel.half().state_dict(), bank / "mel2mel.safetensors")
    flags = ["--bank", str(bank), "--stages", "sampler", "--sampler", "cpu", "--streams", "2"]
    assert main(["sampler", *flags, "--least-s", "0", "--json", str(kept)]) == 0
    (row,) = json.loads(kept.read_text())
    own = row["real_time_factor"] * 2 * 16_000
    assert row["samples_per_second"] == pytest.approx(own, rel=2e-3, abs=5)


@pytest.mark.skipif(cores_here() < 2, reason="needs two cores")
def test_on_more_cores_only_what_can_use_them(toy_bank, tmp_path):
    kept = tmp_path / "rows.json"
    flags = ["--bank", str(toy_bank), "--streams", "3", "--cores", "1", "2"]
    assert main(["sampler", *flags, "--least-s", "0", "--json", str(kept)]) == 0
    rows = json.loads(kept.read_text())
    assert len({row["sampler"] for row in rows if row["cores"] == 1}) > 4
    many = {(row["stage"], row["sampler"]) for row in rows if row["cores"] == 2}
    assert many == {("sampler", "cpu"), ("vocoder", "wavenet, cpu")}


def test_a_bank_without_sizes_plays_its_own_wavenet(toy_bank, tmp_path):
    kept = tmp_path / "rows.json"
    flags = ["--bank", str(toy_bank), "--stages", "sampler", "--sampler", "cpu", "--streams", "1"]
    assert main(["sampler", *flags, "--least-s", "0", "--json", str(kept)]) == 0
    (row,) = json.loads(kept.read_text())
    assert (row["sampler"], row["samples_per_second"] > 0) == ("cpu", True)


def test_each_row_is_run_once_unmeasured_and_at_least_three_times():
    runs = []
    frames, seconds = timed(lambda: len(runs.append(0) or runs), 0.0)
    assert (len(runs), frames) == (4, 4) and seconds > 0


@pytest.mark.parametrize(
    "flags", [["--streams", "0"], ["--block-frames", "0"], ["--cores", "9999"]]
)
def test_bad_sizes_are_told_in_one_line(toy_bank, capsys, flags):
    assert main(["sampler", "--bank", str(toy_bank), *flags]) == 2
    assert flags[0] in capsys.readouterr().err
