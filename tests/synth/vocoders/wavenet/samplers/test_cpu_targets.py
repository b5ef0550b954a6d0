"""The cpu sampler's inner loop on other processors: compiled ahead for them, and read."""

from __future__ import annotations

import ctypes
import re
from collections import Counter

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from synth.vocoders.wavenet.samplers.cpu_kernel import TILE, write_block


def module(beside: bool, bits: int) -> str:
    """LLVM's code of a function that adds one block of weights of so many bits."""
    module = ir.Module("block")
    weights, shorts = (ir.IntType(b).as_pointer() for b in (bits, 16))
    floats = ir.FloatType().as_pointer()
    kinds = [weights, floats, shorts, ir.IntType(64), ir.FloatType(), floats]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), "add_block")
    builder = ir.IRBuilder(function.append_basic_block())
    write_block(builder, *function.args, beside=beside)
    builder.ret_void()
    return str(module)


def loop_of(beside: bool, bits: int, triple: str, cpu: str) -> Counter[str]:
    """How often each instruction stands in the innermost loop, compiled for that processor."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3)
    code = llvm.parse_assembly(module(beside, bits))
    code.triple, code.data_layout = triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(3)
    options.loop_unrolling = False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(code, passes)
    text = machine.emit_assembly(code)
    blocks = re.split(r"^[.\w]*L\w*:|^LBB\w*:", text, flags=re.MULTILINE)
    found = [Counter(re.findall(r"^\s+([a-z][a-z0-9.]*)", b, re.MULTILINE)) for b in blocks]
    # Nothing else asks for memory ahead of time.
    (loop,) = (b for b in found if any(name.startswith(("prefetch", "prfm")) for name in b))
    return loop


@pytest.mark.parametrize(
    ("triple", "cpu"),
    [("aarch64-unknown-linux-gnu", "cortex-a76"), ("arm64-apple-macosx14.0.0", "apple-m1")],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_arm_multiplies_and_adds_in_vectors_and_keeps_its_sums(triple, cpu, bits):
    loop = loop_of(False, bits, triple, cpu)
    multiplies = sum(count for name, count in loop.items() if name.startswith("smlal"))
    # Four products at once.
    assert multiplies == 2 * TILE / 4
    assert not any(name in loop for name in ("mul", "madd", "smaddl", "mla", "smov", "umov"))
    assert not any(name.startswith(("str", "stp", "uzp")) for name in loop)
    widened = sum(count for name, count in loop.items() if name.startswith("sshll"))
    assert widened == (2 * TILE / 8 if bits == 8 else 0)


@pytest.mark.parametrize(
    ("cpu", "multiplies", "width"),
    [("haswell", "vpmaddwd", 16), ("znver4", "vpdpwssd", 32), ("sapphirerapids", "vpdpwssd", 32)],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_x86_multiplies_pairs(cpu, multiplies, width, bits):
    loop = loop_of(True, bits, "x86_64-unknown-linux-gnu", cpu)
    assert loop[multiplies] == 2 * TILE / width
    assert not any(name.startswith(("vpmul", "vmovdqa", "vmovups")) for name in loop)
    widened = sum(count for name, count in loop.items() if name.startswith("vpmovsx"))
    assert widened == (2 * TILE / width if bits == 8 else 0)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("bits", [8, 16])
def test_both_layouts_add_the_same(beside, bits):
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(module(beside, bits)), machine)
    pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    add = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, number, real, pointer)(
        engine.get_function_address("add_block")
    )
    random = np.random.default_rng(0)
    kind, most = (np.int8, 127) if bits == 8 else (np.int16, 2000)
    weights = random.integers(-most, most, (11, TILE, 2)).astype(kind)
    x = random.integers(-8191, 8191, 22).astype(np.int16)
    scales, sums = random.random((2, TILE), np.float32)
    wanted = sums + 0.5 * scales * np.einsum("ptn,pn->t", weights.astype(float), x.reshape(11, 2))
    laid = weights if beside else np.ascontiguousarray(weights.transpose(0, 2, 1))
    add(laid.ctypes.data, scales.ctypes.data, x.ctypes.data, 11, 0.5, sums.ctypes.data)
    np.testing.assert_allclose(sums, wanted, rtol=1e-6)
