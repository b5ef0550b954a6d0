"""Batches drawn ahead: the same ones in the same order, whoever draws them and when."""

from __future__ import annotations

import threading

import pytest
import torch

from tests.waiting import PATIENCE_S
from trainer.data.prefetch import Prefetch


def draw(random: torch.Generator) -> float:
    return float(torch.rand((), generator=random))


def first(count: int, workers: int, random: torch.Generator) -> tuple[list[float], torch.Tensor]:
    with Prefetch(draw, random, workers) as batches:
        return [batches.next() for _ in range(count)], batches.state


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_draw_what_none_would(workers):
    alone, state = first(20, 0, torch.Generator().manual_seed(3))
    ahead, same = first(20, workers, torch.Generator().manual_seed(3))
    assert ahead == alone and torch.equal(same, state)
    assert len(set(alone)) == 20


@pytest.mark.parametrize("workers", [0, 2])
def test_the_state_goes_on_after_the_last_batch_that_was_handed_out(workers):
    whole, _ = first(12, workers, torch.Generator().manual_seed(3))
    begun, state = first(5, workers, torch.Generator().manual_seed(3))
    random = torch.Generator()
    random.set_state(state)
    assert begun + first(7, workers, random)[0] == whole


def test_the_generator_itself_is_left_alone():
    random = torch.Generator().manual_seed(3)
    before = random.get_state()
    first(5, 2, random)
    assert torch.equal(random.get_state(), before)


def test_slow_draws_overlap_and_keep_their_order():
    both = threading.Barrier(2, timeout=PATIENCE_S)
    turns = iter(range(100))

    def meet(random: torch.Generator) -> float:
        if next(turns) < 2:
            both.wait()  # needs two at work at once
        return draw(random)

    with Prefetch(meet, torch.Generator().manual_seed(3), 2) as batches:
        met = [batches.next() for _ in range(4)]
    assert met == first(4, 0, torch.Generator().manual_seed(3))[0]


def test_what_goes_wrong_in_a_thread_is_raised_where_the_batch_is_asked_for():
    def fail(random: torch.Generator) -> float:
        raise ValueError("no such excerpt")

    with (
        Prefetch(fail, torch.Generator(), 1) as batches,
        pytest.raises(ValueError, match="no such excerpt"),
    ):
        batches.next()
