"""The triton sampler without a GPU: interpreted on small sizes, compiled ahead at the full one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from synth.vocoders.wavenet.network import WaveNetConfig
from synth.vocoders.wavenet.samplers.choice import best_sampler
from synth.vocoders.wavenet.vocoder import WaveNetVocoder
from tests.synth.lively_wavenet import SMALL, lively

pytest.importorskip("triton", reason="triton comes with Linux on x86-64 only")

from synth.vocoders.wavenet import linear_triton  # noqa: E402
from synth.vocoders.wavenet.samplers import triton as sampler_triton  # noqa: E402
from tests.synth.ahead import SHARED_KB, compile_ahead  # noqa: E402

ROOT = Path(__file__).resolve().parents[5]
FULL = WaveNetConfig()


def interpreted(module: str) -> dict:
    """What a program saw: triton decides at import whether it interprets."""
    ended = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    if "only 0-dimensional arrays" in ended.stderr:
        pytest.skip("triton 3.6's interpreter takes no loop bound with a numpy this new")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def compared() -> dict:
    return interpreted("tests.synth.interpreted")


@pytest.fixture(scope="module")
def played() -> dict:
    return interpreted("tests.synth.interpreted_vocoder")


def test_draws_what_the_reference_draws(compared):
    # Activations are rounded to half precision before each product, as tensor cores want them.
    assert compared["logits"] < 1e-3 and compared["history"] < 1e-3
    assert compared["forced_agree"] >= 0.999
    assert compared["free_agree"] == 1


def test_the_state_says_where_a_row_stands(compared):
    assert compared["end"] is True


@pytest.mark.parametrize("what", ["blocks", "snapshot", "rows"])
def test_keeps_the_streaming_contract(compared, what):
    assert compared[what] == ""


def test_conditioning_is_that_of_the_cpu(played):
    assert played["conditioning"] < 2e-6 * played["loudest"]
    assert played["carried"] < 2e-6 * played["loudest"]


@pytest.mark.parametrize("what", ["conditioning blocks", "conditioning rows", "guided rows"])
def test_the_vocoder_keeps_the_streaming_contract(played, what):
    assert played[what] == ""


def test_the_vocoder_plays_what_the_reference_plays(played):
    assert played["agree"] == 1
    assert played["guided agree"] < 1e-5


def test_the_engine_plays_what_it_plays_on_a_cpu(played):
    # A draw on a knife's edge may choose its neighbour.
    assert played["engine"] > 0.98


@pytest.mark.parametrize("capability", SHARED_KB)
def test_the_full_size_compiles_without_spills(capability, tmp_path):
    shared = SHARED_KB[capability] * 1024
    compiled = compile_ahead(
        sampler_triton.wide,
        sampler_triton.SIGNATURE,
        sampler_triton.sizes(FULL.residual, FULL.skip, forced=False),
        capability,
        tmp_path,
        num_warps=sampler_triton.WARPS,
        num_stages=sampler_triton.stages(FULL.residual, FULL.skip, shared),
    )
    assert compiled.shared_bytes <= shared
    assert compiled.registers <= 255 and compiled.stack == 0 and compiled.local == 0


@pytest.mark.parametrize(("residual", "skip"), [(128, 256), (32, 128), (64, 512)])
@pytest.mark.parametrize("capability", [120])
def test_other_sizes_fit_the_shared_memory(capability, residual, skip, tmp_path):
    shared = SHARED_KB[capability] * 1024
    compiled = compile_ahead(
        sampler_triton.wide,
        sampler_triton.SIGNATURE,
        sampler_triton.sizes(residual, skip, forced=False),
        capability,
        tmp_path,
        num_warps=sampler_triton.WARPS,
        num_stages=sampler_triton.stages(residual, skip, shared),
    )
    assert compiled.shared_bytes <= shared


@pytest.mark.parametrize("capability", SHARED_KB)
def test_conditioning_compiles_without_spills(capability, tmp_path):
    compiled = compile_ahead(
        linear_triton.linear_tile,
        linear_triton.SIGNATURE,
        linear_triton.SIZES,
        capability,
        tmp_path,
        num_warps=linear_triton.WARPS,
    )
    assert compiled.shared_bytes <= SHARED_KB[capability] * 1024
    assert compiled.stack == 0 and compiled.local == 0


@pytest.mark.parametrize(
    ("residual", "skip", "dilations", "named"),
    [
        (24, 64, (1, 2), "residual is 24"),
        (64, 2048, (1, 2), "skip is 2048"),
        (64, 64, (1, 3), "dilations are"),
    ],
)
def test_sizes_that_do_not_fit_are_named(residual, skip, dilations, named):
    with pytest.raises(ValueError, match=named):
        sampler_triton.check_sizes(residual, skip, dilations)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so():
    assert best_sampler(FULL) == "cpu"
    with pytest.raises(ValueError, match="'triton' needs an NVIDIA GPU"):
        WaveNetVocoder(lively(SMALL), "triton")
