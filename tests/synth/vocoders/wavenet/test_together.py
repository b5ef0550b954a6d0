"""Pieces in threads of their own draw as one batch, and each draws what it draws alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from synth.vocoders.wavenet.drawing import Drawing
from synth.vocoders.wavenet.samplers.contract import SamplerState
from synth.vocoders.wavenet.together import Together
from tests.toy_bank import make_wavenet

PIECES = ((1, (32, 5, 64)), (3, (7, 7, 50)), (2, (100,)), (1, (1, 1, 1)))
"""Of each its rows, and the samples of its blocks."""
RAISES = 0.999
"""A draw at which the sampler of a test raises."""


class Sampler:
    """A real one that tells how many rows it was given, and may be made to raise."""

    def __init__(self, drawing: Drawing) -> None:
        self._draw = drawing._draw
        self.rows: list[int] = []

    def __call__(
        self, conditioning: Tensor, state: SamplerState, draws: Tensor
    ) -> tuple[Tensor, SamplerState]:
        self.rows.append(len(draws))
        if (draws == RAISES).any():
            raise ValueError("the sampler has raised")
        return self._draw(conditioning, state, draws)


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return Drawing(make_wavenet(), "cpu")


def inputs(piece: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Conditioning and draws of a piece's blocks."""
    rows, blocks = PIECES[piece]
    random = torch.Generator().manual_seed(piece)
    for samples in blocks:
        conditioning = torch.randn(rows, samples, make_wavenet().config.mels, generator=random)
        yield conditioning, torch.rand(rows, samples, generator=random)


def play(draw: Callable, drawing: Drawing, piece: int, fault: str = "") -> Tensor:
    """A piece's classes. fault: at its second block, its own ("leaves") or the sampler's."""
    state, drawn = drawing.initial_state(PIECES[piece][0]), []
    for block, (conditioning, draws) in enumerate(inputs(piece)):
        if block and fault == "leaves":
            raise OSError("the disk is full")
        if block and fault == "raises":
            draws[0, 0] = RAISES
        classes, state = draw(conditioning, state, draws)
        drawn.append(classes)
    return torch.cat(drawn, 1)


def play_together(drawing: Drawing, faults: dict[int, str]) -> tuple[list[Future], list[int]]:
    """What becomes of each piece, and the rows of each batch; all begin at once."""
    sampler = Sampler(drawing)
    together, begin = Together(sampler), threading.Barrier(len(PIECES))

    def run(piece: int) -> Tensor:
        with torch.inference_mode(), together.piece():
            # As if each had drawn before, so that all are waited for from the beginning.
            together._pieces[threading.get_ident()] = True
            begin.wait()
            return play(together.draw, drawing, piece, faults.get(piece, ""))

    with ThreadPoolExecutor(len(PIECES)) as pool:
        futures = [pool.submit(run, piece) for piece in range(len(PIECES))]
    assert not together._pieces and not together._wanted
    return futures, sampler.rows


def test_pieces_of_other_sizes_draw_what_each_draws_alone(drawing):
    drawn, rows = play_together(drawing, {})
    for piece, future in enumerate(drawn):
        assert torch.equal(future.result(), play(drawing._draw, drawing, piece))
    # Samples 1, 2, 3, 7, 14, 32, 37, 64, 100 and 101 end a block of one of them.
    assert rows == [7, 7, 7, 6, 6, 6, 6, 6, 3, 1]


def test_a_piece_that_fails_leaves_the_others_alone(drawing):
    drawn, _ = play_together(drawing, {1: "leaves"})
    with pytest.raises(OSError, match="the disk is full"):
        drawn[1].result()
    for piece in (0, 2, 3):
        assert torch.equal(drawn[piece].result(), play(drawing._draw, drawing, piece))


def test_what_the_sampler_raises_is_raised_in_all_that_took_part(drawing):
    drawn, _ = play_together(drawing, {0: "raises"})
    for future in drawn[:3]:
        with pytest.raises(ValueError, match="the sampler has raised"):
            future.result()
    # It had ended before.
    assert torch.equal(drawn[3].result(), play(drawing._draw, drawing, 3))


def test_a_thread_that_is_no_piece_must_not_draw(drawing):
    together = Together(drawing._draw)
    conditioning, draws = next(inputs(0))
    with pytest.raises(AssertionError, match="outside of a piece"):
        together.draw(conditioning, drawing.initial_state(1), draws)
