"""The cpu sampler's inner loop in both its layouts, that of x86 processors and that of others."""

from __future__ import annotations

import ctypes

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
