"""What a training run works on: a processor or a GPU, alone or as one of torchrun's processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Machine:
    """device: where networks and batches live; rank: this process's number of `ranks`, of which
    the first alone validates and writes."""

    device: torch.device = torch.device("cpu")
    rank: int = 0
    ranks: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def name(self) -> str:
        """What it is, in words for a bank's provenance."""
        on_gpu = self.device.type == "cuda"
        name = torch.cuda.get_device_name(self.device) if on_gpu else self.device.type
        return name if self.ranks == 1 else f"{self.ranks} x {name}"

    @property
    def precision(self) -> torch.dtype:
        """Of matrix products: bfloat16 where the hardware has units for it, else float32."""
        quick = self.device.type == "cuda" or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if quick else torch.float32

    def mixed_precision(self) -> torch.autocast:
        """Autocast to `precision`."""
        enabled = self.precision != torch.float32
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def place(self, batch: Any) -> Any:
        """A dataclass with its tensors on the device, without waiting for them."""
        return each_tensor(batch, lambda t: t.to(self.device, non_blocking=True))

    def pin(self, batch: Any) -> Any:
        """A dataclass with its tensors in memory that a GPU copies fastest, if there is one."""
        if self.device.type != "cuda":
            return batch
        return each_tensor(batch, Tensor.pin_memory)

    def agree(self, module: nn.Module) -> None:
        """Every process takes the weights and buffers of the first."""
        if self.ranks > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def share_gradients(self, module: nn.Module) -> None:
        """Each gradient becomes its mean over all processes; they wait for each other here.

        In one piece: the networks are small. DistributedDataParallel would overlap it with the
        backward pass, but keeps the process group, whose threads then outlive the interpreter
        and now and then abort a process that is done.
        """
        if self.ranks == 1:
            return
        parameters = [p for p in module.parameters() if p.requires_grad]
        # What one process has not used in its share of the batch, another may have.
        used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32)
        dist.all_reduce(used, dist.ReduceOp.MAX)
        gradients = []
        for parameter, some in zip(parameters, used.tolist(), strict=True):
            if some:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.ranks
        pieces = flat.split([g.numel() for g in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process; they wait for each other here."""
        if self.ranks == 1:
            return flag
        raised = torch.tensor(int(flag))
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return bool(raised)

    def least(self, value: int) -> int:
        """The least of all processes; they wait for each other here."""
        if self.ranks == 1:
            return value
        least = torch.tensor(value)
        dist.all_reduce(least, dist.ReduceOp.MIN)
        return int(least)

    def mean(self, values: Tensor) -> Tensor:
        """Their mean over all processes."""
        if self.ranks > 1:
            values = values.to("cpu", copy=True)
            dist.all_reduce(values)
            values /= self.ranks
        return values


@contextmanager
def at_work(device: Literal["auto", "cpu", "cuda"], threads: int) -> Iterator[Machine]:
    """The machine that a device and torchrun's environment stand for.

    device: auto takes a GPU if there is one; threads: of each process on a processor.
    Raises ValueError for a device that is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: there is no GPU that this PyTorch can use")
    torch.set_num_threads(threads)
    on_gpu = device != "cpu" and torch.cuda.is_available()
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    where = torch.device("cuda", local) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(where)
        torch.backends.cuda.matmul.allow_tf32 = True
    if ranks == 1:
        yield Machine(where)
        return
    # Gradients by NCCL between GPUs; gloo for all that a processor asks.
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    try:
        yield Machine(where, dist.get_rank(), ranks)
    finally:
        dist.destroy_process_group()


def each_tensor(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A dataclass with its tensors changed, those of dataclasses in it too."""
    changed = {}
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = change(value)
        elif is_dataclass(value):
            changed[field.name] = each_tensor(value, change)
    return replace(batch, **changed)
