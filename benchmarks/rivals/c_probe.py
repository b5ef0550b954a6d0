"""How fast could a core be? The WaveNet in C with int8 weights and this processor's own vectors.

A ceiling for the `cpu` sampler, measured beside it; no product: it needs a compiler, an x86
processor with AVX2, even sizes, and rounds weights to 8 bits. c_probe.c is the work; here it is
compiled for this very machine, and handed its arrays. Signatures as in the Sampler contract.
"""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synth.vocoders.wavenet.mulaw import CLASSES
from synth.vocoders.wavenet.network import WaveNetWeights
from synth.vocoders.wavenet.samplers.contract import SamplerState, check_inputs

SOURCE = Path(__file__).with_suffix(".c")
FLAGS = ("-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-shared", "-fPIC")
TILE, MOST, WIDEST = 64, 127, 4096
MATRICES = ("past", "now", "mel", "residual", "skip", "out", "end")
PLAIN = ("embedding", "gate_bias", "residual_bias", "skip_bias", "out_bias", "end_bias")


class _Matrix(ctypes.Structure):
    _fields_ = [
        ("weights", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("outputs", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
    ]


class _Network(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("layers", "residual_size", "skips", "mels")),
        *((name, ctypes.c_void_p) for name in ("dilations", *PLAIN)),
        *((name, _Matrix) for name in MATRICES),
    ]


@dataclass(frozen=True)
class Probe:
    """The compiled network; arrays: what it points at. weights: as rounded, in float32."""

    library: ctypes.CDLL
    network: _Network
    arrays: list[np.ndarray]
    weights: WaveNetWeights


def available() -> bool:
    """Whether there is a C compiler, and a processor that the probe is written for."""
    return shutil.which("cc") is not None and platform.machine() in ("x86_64", "AMD64")


def pack(weights: WaveNetWeights) -> Probe:
    """Compile it and round the weights. OSError without a compiler that can."""
    layers, size = weights.residual_bias.shape
    skips, mels = len(weights.skip_bias), weights.mel.shape[2]
    if size % 2 or skips % 2 or max(layers * max(size, TILE // 2), skips, mels) > WIDEST:
        raise ValueError(f"{layers} layers of {size}, skip {skips}: not even, or above {WIDEST}")
    stacked = {
        "past": weights.past,
        "now": weights.now,
        "mel": weights.mel,
        "residual": weights.residual,
        "skip": weights.skip.permute(1, 0, 2).flatten(1)[None],
        "out": weights.out[None],
        "end": weights.end[None],
    }
    arrays, network, meant = [], _Network(layers, size, skips, mels), {}
    for name, matrices in stacked.items():
        rounded, scales = _as_bytes(matrices)
        meant[name] = (rounded * scales[..., None]).view(matrices.shape)
        tiled = _tiled(rounded)
        padded = torch.nn.functional.pad(scales, (0, -scales.shape[1] % TILE))
        arrays += [tiled.numpy(), padded.contiguous().numpy()]
        pointers = [array.ctypes.data for array in arrays[-2:]]
        setattr(network, name, _Matrix(*pointers, padded.shape[1], 2 * tiled.shape[2]))
    plain = {"dilations": np.array(weights.dilations, np.int64)}
    plain |= {name: getattr(weights, name).contiguous().numpy() for name in PLAIN}
    for name, array in plain.items():
        arrays.append(array)
        setattr(network, name, array.ctypes.data)
    skip = meant.pop("skip")[0].unflatten(1, (layers, size)).permute(1, 0, 2)
    singles = {name: meant.pop(name)[0] for name in ("out", "end")}
    as_rounded = replace(weights, skip=skip.contiguous(), **singles, **meant)
    return Probe(_compiled(), network, arrays, as_rounded)


def sample(
    probe: Probe, conditioning: Tensor, state: SamplerState, draws: Tensor
) -> tuple[Tensor, SamplerState]:
    """See the Sampler contract."""
    return _walk(probe, conditioning, state, draws, None, None), state


def follow(
    probe: Probe, conditioning: Tensor, state: SamplerState, draws: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor, SamplerState]:
    """See the Sampler contract."""
    logits = torch.empty(*draws.shape, CLASSES)
    drawn = _walk(probe, conditioning, state, draws, classes, logits)
    return logits, drawn, state


def _walk(
    probe: Probe,
    conditioning: Tensor,
    state: SamplerState,
    draws: Tensor,
    forced: Tensor | None,
    logits: Tensor | None,
) -> Tensor:
    size = probe.network.residual_size
    mels, dilations = probe.network.mels, probe.weights.dilations
    check_inputs(conditioning, state, draws, mels, dilations, size, forced)
    drawn = torch.empty(draws.shape, dtype=torch.long)
    moment = [getattr(state, field.name) for field in fields(SamplerState)]
    arrays = [conditioning.contiguous(), *moment, draws.contiguous()]
    arrays += [None if forced is None else forced.contiguous(), drawn, logits]
    for row in range(len(draws)):
        pointers = [None if a is None else ctypes.c_void_p(a[row].data_ptr()) for a in arrays]
        count = ctypes.c_int64(draws.shape[1])
        probe.library.walk(ctypes.byref(probe.network), *pointers, count)
    return drawn


def _as_bytes(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """(count, outputs, inputs) as whole numbers to 127, and a scale for each output."""
    scales = (matrices.abs().amax(2) / MOST).clamp(min=1e-20)
    return (matrices / scales[..., None]).round(), scales


def _tiled(rounded: Tensor) -> Tensor:
    """(count, outputs, inputs) -> int8 (count, tiles, pairs, TILE, 2), filled up with zeros."""
    _, outputs, inputs = rounded.shape
    padded = torch.nn.functional.pad(rounded, (0, inputs % 2, 0, -outputs % TILE))
    pairs = padded.unflatten(2, (-1, 2)).unflatten(1, (-1, TILE))
    return pairs.permute(0, 1, 3, 2, 4).to(torch.int8).contiguous()


def _compiled() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "c_probe.so"
        told = subprocess.run(
            ["cc", *FLAGS, str(SOURCE), "-o", str(made), "-lm"], capture_output=True, text=True
        )
        if told.returncode:
            raise OSError(f"{SOURCE.name}: does not compile here: {told.stderr.strip()[:200]}")
        # The system keeps what is loaded, whatever becomes of the file.
        return ctypes.CDLL(str(made))
