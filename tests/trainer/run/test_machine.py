"""What a run works on: devices by name, batches put where they are needed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from trainer.run.machine import Machine, at_work


@dataclass(frozen=True)
class Inner:
    x: Tensor


@dataclass(frozen=True)
class Outer:
    inner: Inner
    y: Tensor
    rows: tuple[int, ...]


def test_auto_is_a_processor_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with at_work("auto", 1) as machine:
        assert machine == Machine() and machine.name == "cpu" and machine.first
        assert torch.get_num_threads() == 1
    with pytest.raises(ValueError, match="--device cuda: there is no GPU"), at_work("cuda", 1):
        pass


def test_a_batch_is_placed_tensor_by_tensor():
    batch = Outer(Inner(torch.zeros(2)), torch.ones(3), (1, 2))
    moved = Machine(torch.device("meta")).place(batch)
    assert moved.inner.x.is_meta and moved.y.is_meta and moved.rows == (1, 2)
    assert not batch.y.is_meta
    assert Machine().pin(batch) is batch


def test_alone_nothing_is_shared():
    module, machine = nn.Linear(2, 2), Machine()
    module(torch.ones(2)).sum().backward()
    kept = [p.clone() for q in module.parameters() for p in (q, q.grad)]
    machine.agree(module)
    machine.share_gradients(module)
    now = [p for q in module.parameters() for p in (q, q.grad)]
    assert all(torch.equal(a, b) for a, b in zip(kept, now, strict=True))
    assert machine.any(True) and not machine.any(False)
    assert float(machine.mean(torch.tensor(3.0))) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("network", ["mel2mel", "wavenet"])
def test_a_gpu_learns_what_a_processor_does(network, plan):
    from tests.trainer.run.test_training import train

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    kept = {d: train(network, plan(network, d, 60, device=d)) for d in ("cpu", "cuda")}
    assert torch.equal(kept["cpu"]["random"], kept["cuda"]["random"])
    losses = [kept[device]["progress"][3] for device in ("cpu", "cuda")]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    # And the processor goes on with what the GPU has begun.
    assert train(network, plan(network, "cuda", 62))["progress"][0] == 62
