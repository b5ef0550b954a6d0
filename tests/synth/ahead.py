"""Triton kernels compiled without a GPU: what they would take of one."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

SHARED_KB = {80: 163, 90: 227, 120: 99}
"""Shared memory that one program may have, by compute capability."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """registers, stack, local: as cuobjdump counts them, the last two in bytes for a thread."""

    shared_bytes: int
    registers: int
    stack: int
    local: int


def compile_ahead(
    kernel: triton.JITFunction,
    signature: dict[str, str],
    sizes: dict[str, int | bool],
    capability: int,
    folder: Path,
    **launch: int,
) -> Compiled:
    """A kernel for one chip, with pointers as aligned as torch makes them."""
    types = {name: signature.get(name, "constexpr") for name in kernel.arg_names}
    pointers = [i for i, kind in enumerate(types.values()) if kind.startswith("*")]
    attributes = {(i,): [["tt.divisibility", 16]] for i in pointers}
    target = GPUTarget("cuda", capability, 32)
    made = compile(ASTSource(kernel, types, sizes, attributes), target=target, options=launch)
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    file = folder / "kernel.cubin"
    file.write_bytes(made.asm["cubin"])
    told = subprocess.run([tool, "-res-usage", file], capture_output=True, text=True, check=True)
    used = {name: int(n) for name, n in re.findall(r"(REG|STACK|LOCAL):(\d+)", told.stdout)}
    return Compiled(made.metadata.shared, used["REG"], used["STACK"], used["LOCAL"])
