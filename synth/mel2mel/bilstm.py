"""A bidirectional LSTM whose backward half may look only so far ahead.

With lookahead L the backward half of frame t reads frames t + L .. t, anew for every frame,
so its output does not depend on how a stream is cut into blocks. With lookahead None it
reads the whole sequence, as in the paper. Gates are ordered as in torch: in, forget, cell, out;
each direction has a single bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Lookahead = int | None | Sequence[int | None]
"""Frames, or None for the whole sequence; one for all, or one for each."""


class BiLSTM(nn.Module):
    """inputs -> size per direction, of whole sequences; step.py is the same for streams."""

    forward_w_in: Tensor
    forward_w_state: Tensor
    forward_bias: Tensor
    backward_w_in: Tensor
    backward_w_state: Tensor
    backward_bias: Tensor
    no_bias: Tensor

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.size = size
        bound = size**-0.5
        shapes = {"w_in": (4 * size, inputs), "w_state": (4 * size, size), "bias": (4 * size,)}
        for direction in ("forward", "backward"):
            for name, shape in shapes.items():
                start = nn.init.uniform_(torch.empty(shape), -bound, bound)
                self.register_parameter(f"{direction}_{name}", nn.Parameter(start))
        self.register_buffer("no_bias", torch.zeros(4 * size), persistent=False)

    def forward(self, x: Tensor, lookahead: Lookahead, silence: Tensor) -> Tensor:
        """x (batch, frames, inputs) -> (batch, frames, 2 * size).

        silence (batch, 1, inputs): what the frames beyond the end hold.
        """
        ahead = self._sequence(x, "forward")
        if lookahead is None or isinstance(lookahead, int):
            back = self._backward(lookahead, x, silence)
        else:
            back = self._mixed(lookahead, x, silence)
        return torch.cat([ahead, back], -1)

    def _weights(self, direction: str) -> tuple[Tensor, Tensor, Tensor]:
        if direction == "forward":
            return self.forward_w_in, self.forward_w_state, self.forward_bias
        return self.backward_w_in, self.backward_w_state, self.backward_bias

    def _sequence(self, x: Tensor, direction: str) -> Tensor:
        zero = x.new_zeros(1, x.shape[0], self.size)
        weights = [*self._weights(direction), self.no_bias]
        # cuDNN would train in float16, whose gradients vanish; in float32 it is fast enough.
        with torch.autocast("cuda", enabled=False):
            if x.is_cuda:
                x, zero = x.float(), zero.float()
            output, _, _ = torch.lstm(
                x, (zero, zero), weights, True, 1, 0.0, self.training, False, True
            )
        return output

    def _mixed(self, lookaheads: Sequence[int | None], x: Tensor, silence: Tensor) -> Tensor:
        """The backward half where every row has its own lookahead: alike ones go together."""
        alike: dict[int | None, list[int]] = {}
        for row, lookahead in enumerate(lookaheads):
            alike.setdefault(lookahead, []).append(row)
        order = torch.tensor([row for rows in alike.values() for row in rows], device=x.device)
        sizes = [len(rows) for rows in alike.values()]
        groups = zip(alike, x[order].split(sizes), silence[order].split(sizes), strict=True)
        return torch.cat([self._backward(*group) for group in groups])[order.argsort()]

    def _backward(self, lookahead: int | None, x: Tensor, silence: Tensor) -> Tensor:
        if lookahead is None:
            return self._sequence(x.flip(1), "backward").flip(1)
        return self._windows(torch.cat([x, silence.expand(-1, lookahead, -1)], 1), lookahead)

    def _windows(self, x: Tensor, lookahead: int) -> Tensor:
        frames = x.shape[1] - lookahead
        w_in, w_state, bias = self._weights("backward")
        gates = nn.functional.linear(x, w_in, bias)
        h, c = _advance(gates[:, lookahead:].flatten(0, 1), None)
        for ahead in reversed(range(lookahead)):
            heard = gates[:, ahead : ahead + frames].flatten(0, 1)
            h, c = _advance(torch.addmm(heard, h, w_state.t()), c)
        return h.unflatten(0, (x.shape[0], frames))


def _advance(gates: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
    """One frame: gates (rows, 4 * size) and the cells before it, or None for none; h and c."""
    i, f, g, o = gates.chunk(4, -1)
    kept = 0 if c is None else f.sigmoid() * c
    c = kept + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c
