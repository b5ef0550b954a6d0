"""How fast could a core be? The WaveNet in C with int8 weights and this processor's own vectors.

The most that the `cpu` sampler could reach, measured beside it. It is only for comparison: it
needs a compiler, an x86 processor with AVX2 and even sizes, and rounds weights to 8 bits. The work
is done by c_probe.c, which is compiled here for this machine. Signatures as in the Sampler
contract.
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
MATRICES = ("past", "now", "conditioning", "residual", "skip", "out", "end")
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
        *((name, ctypes.c_int64) for name in ("layers", "residual_size", "skips", "channels")),
        *((name, ctypes.c_void_p) for name in ("dilations", *PLAIN)),
        *((name, _Matrix) for name in MATRICES),
    ]


@dataclass(frozen=True)
class Probe:
    """The compiled network. arrays: what it points to; weights: as rounded, in float32."""

    library: ctypes.CDLL
    network: _Network
    arrays: list[np.ndarray]
    weights: WaveNetWeights


def available() -> bool:
    """Whether there is a C compiler, and a processor for which the probe is written."""
    return shutil.which("cc") is not None and platform.machine() in ("x86_64", "AMD64")


def pack(weights: WaveNetWeights) -> Probe:
    """Compile it and round the weights. OSError if it does not compile."""
    layers, size = weights.residual_bias.shape
    skips, channels = len(weights.skip_bias), weights.conditioning.shape[2]
    if size % 2 or skips % 2 or max(layers * max(size, TILE // 2), skips, channels) > WIDEST:
        raise ValueError(
            f"{layers} layers of {size}, skip {skips}: expected even sizes, at most {WIDEST}"
        )
    stacked = {
        "past": weights.past,
        "now": weights.now,
        "conditioning": weights.conditioning,
        "residual": weights.residual,
        "skip": weights.skip.permute(1, 0, 2).flatten(1)[None],
        "out": weights.out[None],
        "end": weights.end[None],
    }
    arrays, network = [], _Network(layers, size, skips, channels)
    as_rounded: dict[str, Any] = {}
    for name, matrices in stacked.items():
        rounded, scales = _as_bytes(matrices)
        as_rounded[name] = (rounded * scales[..., None]).view(matrices.shape)
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
    skip = as_rounded["skip"][0].unflatten(1, (layers, size)).permute(1, 0, 2)
    as_rounded |= {"skip": skip.contiguous()}
    as_rounded |= {name: as_rounded[name][0] for name in ("out", "end")}
    return Probe(_compiled(), network, arrays, replace(weights, **as_rounded))


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
    channels, dilations = probe.network.channels, probe.weights.dilations
    check_inputs(conditioning, state, draws, channels, dilations, size, forced)
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
        ended = subprocess.run(
            ["cc", *FLAGS, str(SOURCE), "-o", str(made), "-lm"], capture_output=True, text=True
        )
        if ended.returncode:
            raise OSError(f"{SOURCE.name}: does not compile here: {ended.stderr.strip()[:200]}")
        # The system keeps what is loaded, even when the file is gone.
        return ctypes.CDLL(str(made))
