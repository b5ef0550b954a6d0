"""The cpu sampler's inner loop in both its layouts, that of x86 processors and that of others."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from synth.vocoders.wavenet.samplers.cpu_kernel import TILE, Row, write_block


def module(beside: bool, bits: int, rows: int) -> str:
    """LLVM's code of a function that adds one block of weights of so many bits to each row; rows
    of x have 22 numbers."""
    module = ir.Module("block")
    weights, shorts = (ir.IntType(b).as_pointer() for b in (bits, 16))
    floats = ir.FloatType().as_pointer()
    kinds = [weights, floats, ir.IntType(64), shorts, floats, floats]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), "add_block")
    builder = ir.IRBuilder(function.append_basic_block())
    weights, scales, pairs, *arrays = function.args

    def place(number: int, stride: int, row: int) -> ir.Value:
        return builder.gep(arrays[number], [ir.Constant(ir.IntType(64), stride * row)])

    made = [Row(place(0, 22, r), place(1, 1, r), place(2, TILE, r)) for r in range(rows)]
    write_block(builder, weights, scales, pairs, made, beside=beside)
    builder.ret_void()
    return str(module)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("rows", [1, 4])
def test_both_layouts_add_the_same(beside, bits, rows):
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(module(beside, bits, rows)), machine)
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    add = ctypes.CFUNCTYPE(None, pointer, pointer, number, pointer, pointer, pointer)(
        engine.get_function_address("add_block")
    )
    random = np.random.default_rng(0)
    kind, most = (np.int8, 127) if bits == 8 else (np.int16, 2000)
    weights = random.integers(-most, most, (11, TILE, 2)).astype(kind)
    x = random.integers(-8191, 8191, (rows, 11, 2)).astype(np.int16)
    scales, unit = random.random(TILE, np.float32), random.random(rows, np.float32)
    sums = random.random((rows, TILE), np.float32)
    products = np.einsum("ptn,rpn->rt", weights.astype(float), x)
    wanted = sums + unit[:, None] * scales * products
    laid = weights if beside else np.ascontiguousarray(weights.transpose(0, 2, 1))
    places = (array.ctypes.data for array in (x, unit, sums))
    add(laid.ctypes.data, scales.ctypes.data, 11, *places)
    np.testing.assert_allclose(sums, wanted, rtol=1e-6)
