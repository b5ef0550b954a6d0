"""The WaveNet's training step by hand: `WaveNet.forward` and its gradient with fewer copies.

Rows are (sample, sequence) pairs, the sequences of one instant side by side, so that "d
samples ago" is a slice that begins d * batch rows earlier, and no layer's input is padded or
kept twice. A processor takes some rows at a time through all layers, while they are in its
cache; a GPU takes all at once. Buffers are made once and overwritten by every step.
`WaveNet.forward` is the readable truth that this is tested against.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from synth.vocoders.wavenet.mulaw import SILENCE
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from trainer.wavenet.teacher_buffers import Buffers, Linear, linears, make_buffers

_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_relu_backward = torch.ops.aten.threshold_backward


class TeacherForcing:
    """Mean cross-entropy of the next class, with buffers for one shape at a time.

    One loss must have gone backward before the next is asked for.
    """

    def __init__(self, config: WaveNetConfig) -> None:
        self._config = config
        self._buffers: Buffers | None = None

    def loss(
        self,
        network: WaveNet,
        mel: Tensor,
        classes: Tensor,
        precision: torch.dtype,
        guide: Tensor | None = None,
        heard: Tensor | None = None,
    ) -> Tensor:
        """A scalar, in nats a sample.

        mel (batch, frames, mels) natural-log; classes (batch, frames * hop) int64; precision:
        of matrix products and activations, bfloat16 or float32; guide as `WaveNet.condition` takes
        it; heard: classes that the network takes for the samples before, of the same shape, the
        true ones unless given.
        """
        batch, samples = classes.shape
        with torch.autocast(mel.device.type, precision, enabled=precision != torch.float32):
            told = network.condition(mel, guide)
        told = told.to(precision).transpose(0, 1).reshape(batch * samples, -1)
        heard = classes if heard is None else heard
        before = nn.functional.pad(heard, (1, 0), value=SILENCE)[:, :-1]
        x = network.embedding(before.t().reshape(-1)).to(precision)
        buffers = self._fitting(batch, x)
        weights = [p for layer in network.layers for p in layer.parameters()]
        for linear in (network.skip, network.out, network.end):
            weights += linear.parameters()
        learning = torch.is_grad_enabled()
        return _Layers.apply(buffers, learning, classes.t().reshape(-1), x, told, *weights)

    def _fitting(self, batch: int, x: Tensor) -> Buffers:
        wanted = (batch, len(x), x.dtype, x.device)
        if self._buffers is None or self._buffers.made_for != wanted:
            self._buffers = make_buffers(self._config, *wanted)
        return self._buffers


class _Layers(torch.autograd.Function):
    """Everything after the embedding and the upsampling, down to the loss."""

    @staticmethod
    def forward(
        ctx: Any,
        buffers: Buffers,
        learning: bool,
        classes: Tensor,
        x: Tensor,
        told: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        """learning: whether gradients will be asked for; classes (N,); x (N, R) and told (N,
        conditioning) in the precision to work in."""
        *layers, skip, out, end = linears(weights, x.dtype)
        gradients = None
        if learning:
            gradients = [
                Linear(*(torch.zeros_like(w) for w in pair))
                for pair in zip(weights[::2], weights[1::2], strict=True)
            ]
        batch, config = buffers.made_for[0], buffers.config
        r, dilations = config.residual, config.dilations
        buffers.inputs[0][dilations[0] * batch :] = x
        total = torch.zeros((), device=x.device)
        every_z = x.new_empty(buffers.rows()[0].stop, len(dilations) * r)
        for rows in buffers.rows():
            joined = _joined(told[rows], r)
            gated = every_z[: len(joined)]
            for number, dilation in enumerate(dilations):
                gate, residual = layers[2 * number : 2 * number + 2]
                now = _join(joined, buffers.inputs[number], dilation * batch, rows, r)
                gates = buffers.gates[number, rows]
                torch.addmm(gate.bias, joined, gate.weight.t(), out=gates)
                tanh, sigmoid = _activate(gates, r)
                z = gated[:, number * r : (number + 1) * r]
                torch.mul(tanh, sigmoid, out=z)
                if number + 1 < len(dilations):
                    later = _shifted(rows, dilations[number + 1] * batch)
                    torch.addmm(now, z, residual.weight.t(), out=buffers.inputs[number + 1][later])
                    buffers.inputs[number + 1][later] += residual.bias
            total += _descend(buffers, rows, gated, classes[rows], (skip, out, end), gradients)
        ctx.buffers, ctx.told, ctx.linears, ctx.gradients = (
            buffers,
            told,
            [*layers, skip],
            gradients,
        )
        return total / len(x)

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        """From the last rows and the last layer back to the first."""
        buffers: Buffers = ctx.buffers
        *layers, skip = ctx.linears
        *d_layers, d_skip_linear, _, _ = ctx.gradients
        batch, config = buffers.made_for[0], buffers.config
        r, dilations = config.residual, config.dilations
        for rows in reversed(buffers.rows()):
            joined = _joined(ctx.told[rows], r)
            d_skip, d_told = buffers.d_skip[rows], buffers.d_told[rows].zero_()
            d_x = buffers.d_x[rows].zero_()
            for number in reversed(range(len(dilations))):
                gate, residual = layers[2 * number : 2 * number + 2]
                d_gate, d_residual = d_layers[2 * number : 2 * number + 2]
                depth, own = dilations[number] * batch, slice(number * r, (number + 1) * r)
                tanh, sigmoid = buffers.gates[number, rows].split(r, -1)
                z = tanh * sigmoid
                d_skip_linear.weight[:, own].add_(d_skip.t() @ z)
                d_z = d_skip @ skip.weight[:, own]
                if number + 1 < len(dilations):
                    d_z.addmm_(d_x, residual.weight)
                    d_residual.learn(d_x, z)
                d_gates = _deactivate(d_z, tanh, sigmoid)
                _join(joined, buffers.inputs[number], depth, rows, r)
                d_gate.learn(d_gates, joined)
                owed = buffers.owed[number]
                torch.mm(d_gates, gate.weight[:, :r], out=owed[rows])
                d_x.add_(owed[_shifted(rows, depth)]).addmm_(d_gates, gate.weight[:, r : 2 * r])
                d_told.addmm_(d_gates, gate.weight[:, 2 * r :])
        flat = [g for pair in ctx.gradients for g in pair]
        return (None, None, None, *(g * scale for g in (buffers.d_x, buffers.d_told, *flat)))


def _shifted(rows: slice, by: int) -> slice:
    return slice(rows.start + by, rows.stop + by)


def _joined(told: Tensor, r: int) -> Tensor:
    """Room for a layer's past and present beside the conditioning: (rows, 2R + conditioning)."""
    joined = told.new_empty(len(told), 2 * r + told.shape[1])
    joined[:, 2 * r :] = told
    return joined


def _join(joined: Tensor, x: Tensor, shift: int, rows: slice, r: int) -> Tensor:
    """Fill in both; x holds `shift` rows of silence first. Returns the present."""
    now = x[_shifted(rows, shift)]
    joined[:, :r] = x[rows]
    joined[:, r : 2 * r] = now
    return now


def _activate(gates: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """tanh of the first R channels and sigmoid of the rest, in place."""
    tanh, sigmoid = gates[:, :r], gates[:, r:]
    if gates.dtype == torch.bfloat16 and gates.device.type == "cpu":
        # PyTorch has a fast tanh for contiguous single precision only.
        tanh.copy_(tanh.float().tanh_())
    else:
        tanh.tanh_()
    return tanh, sigmoid.sigmoid_()


def _deactivate(d_z: Tensor, tanh: Tensor, sigmoid: Tensor) -> Tensor:
    """What z = tanh * sigmoid hands back to the gates before their activation."""
    r = d_z.shape[1]
    d_gates = d_z.new_empty(len(d_z), 2 * r)
    _tanh_backward(d_z * sigmoid, tanh, grad_input=d_gates[:, :r])
    _sigmoid_backward(d_z * tanh, sigmoid, grad_input=d_gates[:, r:])
    return d_gates


def _descend(
    buffers: Buffers,
    rows: slice,
    z: Tensor,
    classes: Tensor,
    linears: tuple[Linear, Linear, Linear],
    gradients: list[Linear] | None,
) -> Tensor:
    """The summed cross-entropy of some rows; if asked for gradients, those down to d_skip."""
    skip, out, end = linears
    wanted = classes[:, None]
    skipped = skip.of(z).relu_()
    hidden = out.of(skipped).relu_()
    logs = end.of(hidden).float().log_softmax(-1)
    loss = -logs.gather(1, wanted).sum()
    if gradients is not None:
        d_logits = logs.exp_()
        d_logits.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=logs.dtype))
        d_logits = (d_logits / len(buffers.d_x)).to(z.dtype)
        gradients[-1].learn(d_logits, hidden)
        d_hidden = _relu_backward(d_logits @ end.weight, hidden, 0)
        gradients[-2].learn(d_hidden, skipped)
        d_skip = _relu_backward(d_hidden @ out.weight, skipped, 0)
        gradients[-3].bias.add_(d_skip.sum(0))
        buffers.d_skip[rows] = d_skip
    return loss
