"""The triton sampler without a GPU: interpreted on small sizes, compiled ahead at the full one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from synth import sampler_reference
from synth.sampler import initial_state
from synth.wavenet import WaveNet, WaveNetConfig

pytest.importorskip("triton", reason="triton comes with Linux on x86-64 only")

from synth import sampler_triton  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FULL = WaveNetConfig()
SHARED_KB = {80: 163, 90: 227, 120: 99}
"""Shared memory that one program may have, by compute capability."""


@pytest.fixture(scope="module")
def compared() -> dict:
    """What tests/synth/interpreted.py saw: triton decides at import whether it interprets."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.synth.interpreted"],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_draws_what_the_reference_draws(compared):
    # Activations are rounded to half precision before each product, as tensor cores want them.
    assert compared["logits"] < 1e-3 and compared["history"] < 1e-3
    assert compared["forced_agree"] >= 0.999
    assert compared["free_agree"] == 1


@pytest.mark.parametrize("what", ["blocks", "state", "alone", "joined"])
def test_blocks_and_neighbours_change_nothing(compared, what):
    assert compared[what] is True


@pytest.mark.parametrize("capability", SHARED_KB)
def test_the_full_size_compiles_without_spills(capability, tmp_path):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    kernel = sampler_triton.wide
    kinds = {name: kind for name, kind in sampler_triton.SIGNATURE.items()}
    sizes = sampler_triton.sizes(FULL.residual, FULL.skip, forced=False)
    signature = {name: kinds.get(name, "constexpr") for name in kernel.arg_names}
    aligned = [i for i, name in enumerate(kernel.arg_names) if kinds.get(name, "")[:1] == "*"]
    attributes = {(i,): [["tt.divisibility", 16]] for i in aligned}
    compiled = compile(
        ASTSource(kernel, signature, sizes, attributes),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": sampler_triton.WARPS},
    )
    assert compiled.metadata.shared <= SHARED_KB[capability] * 1024
    assert "mma" in compiled.asm["ptx"], "the products must be on tensor cores"
    usage = resources(compiled.asm["cubin"], tmp_path)
    assert usage["REG"] <= 255 and usage["STACK"] == 0 and usage["LOCAL"] == 0


def resources(cubin: bytes, folder: Path) -> dict[str, int]:
    """Registers, stack and local bytes of a kernel, as cuobjdump tells."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    file = folder / "kernel.cubin"
    file.write_bytes(cubin)
    told = subprocess.run([tool, "-res-usage", file], capture_output=True, text=True, check=True)
    found = re.findall(r"(REG|STACK|LOCAL):(\d+)", told.stdout)
    return {name: int(value) for name, value in found}


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="residual is 24"):
        sampler_triton.pack(WaveNet(WaveNetConfig(residual=24, layers=2)).weights(), "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_full_size_on_a_gpu_draws_what_the_reference_draws():
    torch.manual_seed(0)
    weights = WaveNet(FULL).half().float().requires_grad_(False).weights()
    batch, samples = 17, 256
    added = torch.randn(batch, samples, FULL.layers, 2 * FULL.residual)
    draws, classes = torch.rand(batch, samples), torch.randint(256, (batch, samples))
    state = initial_state(FULL.dilations, FULL.residual, batch)
    wanted, wanted_drawn, _ = sampler_reference.follow(
        sampler_reference.pack(weights), added, state, draws, classes
    )
    state = initial_state(FULL.dilations, FULL.residual, batch)
    on_gpu = type(state)(state.history.cuda(), state.position.cuda(), state.last.cuda())
    logits, drawn, _ = sampler_triton.follow(
        sampler_triton.pack(weights), added.cuda(), on_gpu, draws.cuda(), classes.cuda()
    )
    torch.testing.assert_close(logits.cpu(), wanted, rtol=0, atol=5e-3)
    assert (drawn.cpu() == wanted_drawn).float().mean() >= 0.999
