"""A run in a few small files, for machines that give back no large ones.

name.safetensors holds the averaged weights as they are. name.state.0, 1, ... are slices of a
checkpoint at less than half its size: weights as float16, Adam's second moments as bfloat16, its
first, in units of the root of these, in 8 bits, and the average left out, which the first file
has. To round the weights by a part in two thousand and the next few steps by one in sixteen is
far below the noise of a step. A full-size Mel2Mel takes 15 + 37 MB, a WaveNet 2.8 + 7.0 MB.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from trainer.storage import write_whole

PART_BYTES = 16 * 2**20 - 4_096
"""The longest file: a little under 16 MiB."""
SMALL = 1_024
"""Tensors with fewer numbers stay as they are."""
STEEPEST = 448.0
"""The largest number of 8 bits; Adam's first moment is below 10 roots of the second."""
MARK = b"melstream state\n"
DIGEST = hashlib.sha256().digest_size


def pack_run(run: Path, folder: Path, name: str, room: int, files: int) -> str:
    """Write a run's last checkpoint into folder; "whole", "weights" or "nothing".

    room, files: bytes and files that it may take. Where the state is larger, the weights are
    kept alone. Raises OSError when it cannot be written.
    """
    weights = run / "weights.safetensors"
    if not weights.is_file():
        return "nothing"
    content = weights.read_bytes()
    state = _narrow_checkpoint(run / "last.pt")
    step = PART_BYTES - len(MARK) - DIGEST - 2
    slices = [state[at : at + step] for at in range(0, len(state), step)]
    if len(content) + len(state) > room or len(slices) + 1 > files:
        slices = []
    write_whole(folder / f"{name}.safetensors", content)
    digest = hashlib.sha256(state).digest()
    for number, piece in enumerate(slices):
        told = MARK + digest + bytes([number, len(slices)])
        write_whole(folder / f"{name}.state.{number}", told + piece)
    for old in _parts(folder, name)[len(slices) :]:
        old.unlink()
    return "whole" if slices else "weights"


def unpack_run(folder: Path, name: str, run: Path) -> str:
    """Make a run to go on with from what `pack_run` wrote; "whole", "weights" or "nothing".

    With weights alone, a run can only start anew from them. Parts of different checkpoints, or
    of a damaged one, count as none. Raises ValueError when the weights are none.
    """
    weights = folder / f"{name}.safetensors"
    if not weights.is_file():
        return "nothing"
    try:
        average = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{weights}: not weights ({' '.join(str(error).split())})") from None
    state = _joined(_parts(folder, name))
    if state is None:
        return "weights"
    whole = _widened(torch.load(io.BytesIO(state), map_location="cpu", weights_only=True))
    if "average" in whole:
        whole["average"] = {key: value.float() for key, value in average.items()}
    run.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    torch.save(whole, content)
    write_whole(run / "last.pt", content.getvalue())
    shutil.copyfile(weights, run / "weights.safetensors")
    return "whole"


def _narrow_checkpoint(path: Path) -> bytes:
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise ValueError(f"{path}: not a whole checkpoint ({error})") from None
    narrow = {
        # Squared gradients are far below what float16 can hold.
        key: _narrowed(value, torch.float16 if key == "network" else torch.bfloat16)
        for key, value in whole.items()
    }
    moments = whole.get("optimiser", {}).get("state", {})
    for key, told in narrow.get("optimiser", {}).get("state", {}).items():
        if told["exp_avg"].dtype == torch.bfloat16:
            root = moments[key]["exp_avg_sq"].sqrt().clamp(min=1e-30)
            share = (moments[key]["exp_avg"] / root).clamp(-STEEPEST, STEEPEST)
            told["exp_avg"] = share.to(torch.float8_e4m3fn)
    if "average" in narrow:
        narrow["average"] = None
    content = io.BytesIO()
    torch.save(narrow, content)
    return content.getvalue()


def _narrowed(value: Any, kind: torch.dtype) -> Any:
    """The same nest of dicts and lists, its large float32 tensors in half the bytes."""
    if isinstance(value, Tensor):
        if value.dtype != torch.float32 or value.numel() < SMALL:
            return value
        short = value.to(kind)
        return short if short.isfinite().all() else value
    if isinstance(value, dict):
        return {key: _narrowed(item, kind) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_narrowed(item, kind) for item in value)
    return value


def _widened(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(value, dict):
        wide = {key: _widened(item) for key, item in value.items()}
        if "exp_avg" in wide and value["exp_avg"].dtype == torch.float8_e4m3fn:
            wide["exp_avg"] = wide["exp_avg"].float() * wide["exp_avg_sq"].sqrt()
        return wide
    if isinstance(value, list | tuple):
        return type(value)(_widened(item) for item in value)
    return value


def _parts(folder: Path, name: str) -> list[Path]:
    found = [p for p in folder.glob(f"{name}.state.*") if p.suffix[1:].isdecimal()]
    return sorted(found, key=lambda path: int(path.suffix[1:]))


def _joined(parts: list[Path]) -> bytes | None:
    """The state that parts are slices of, or None if they are not the whole of one."""
    state, digests = b"", set()
    for number, path in enumerate(parts):
        content = path.read_bytes()
        start = len(MARK) + DIGEST
        if not content.startswith(MARK) or content[start : start + 2] != bytes(
            [number, len(parts)]
        ):
            return None
        digests.add(content[len(MARK) : start])
        state += content[start + 2 :]
    return state if digests == {hashlib.sha256(state).digest()} else None
