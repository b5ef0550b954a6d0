"""Sequences as the network itself draws them, to learn from where it goes astray.

Led by the true past, the next sample is so easy that a guide is not heeded; playing freely, the
network then drifts away. So some sequences are heard as it draws them, with its present weights,
while what it should say stays the original.

So many takes are drawn at once, and learnt from for some steps. On a GPU they are drawn beside
the steps that learn from those before, on the few processors that they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from synth.vocoders.wavenet.network import WaveNet, hear
from synth.vocoders.wavenet.samplers.choice import load_sampler
from synth.vocoders.wavenet.samplers.contract import initial_state
from trainer.wavenet.guided_data import GuidedData

AT_ONCE = 512
"""Samples whose conditioning is held for all layers at once on a GPU."""


@torch.no_grad()
def own_take(network: WaveNet, data: GuidedData, starts: Tensor, seed: int) -> Tensor:
    """Classes (batch, samples) uint8 that the network draws for the sequences at these hops."""
    return _begin(network, data, starts, seed)()


def _begin(network: WaveNet, data: GuidedData, starts: Tensor, seed: int) -> Callable[[], Tensor]:
    """Take the weights as they are now; what is returned draws."""
    device = next(network.parameters()).device
    sampler, _ = load_sampler("triton" if device.type == "cuda" else "cpu")
    packed, config = sampler.pack(network.weights()), network.config
    cut = data.cut(starts)
    with torch.no_grad():
        mel = network.upsampled(cut.mel)
        embedded = network.guide.weight.detach().clone()

    def draw() -> Tensor:
        state = initial_state(config.dilations, config.residual, len(starts), device)
        random = torch.Generator(device).manual_seed(seed)
        samples = cut.target.shape[1]
        taken = torch.empty(len(starts), samples, dtype=torch.uint8, device=device)
        for first in range(0, samples, AT_ONCE):
            stop = min(first + AT_ONCE, samples)
            around = cut.guide[:, first : stop + 2 * data.reach]
            told = torch.cat([mel[:, first:stop].float(), hear(around, embedded, data.reach)], -1)
            u = torch.rand(len(starts), stop - first, generator=random, device=device)
            drawn, state = sampler.sample(packed, told, state, u)
            taken[:, first:stop] = drawn
        return taken

    return draw


class OwnTakes:
    """Takes to learn from. count: how many; every: steps between fresh ones."""

    def __init__(
        self, network: WaveNet, data: GuidedData, count: int, every: int, seed: int
    ) -> None:
        self._network, self._data, self._count, self._every = network, data, count, every
        self._seed = seed
        self._age = 0
        self._starts = self._classes = torch.empty(0)
        device = next(network.parameters()).device
        self._beside = torch.cuda.Stream() if device.type == "cuda" else None
        self._pending: tuple[Tensor, Tensor] | None = None
        self._drawing: Callable[[], Tensor] | None = None

    def next(self, picks: Tensor) -> tuple[Tensor, Tensor]:
        """One step on: first hops (n,) and classes (n, samples) int64 of the takes picked."""
        if self._age % self._every == 0 or not len(self._classes):
            self._refresh()
        self._age += 1
        picks = picks.to(self._classes.device)
        return self._starts[picks], self._classes[picks].long()

    def kept(self) -> dict[str, Tensor]:
        """What a run needs to go on exactly."""
        kept = {
            "age": torch.tensor(self._age),
            "starts": self._starts.cpu(),
            "takes": self._classes.cpu(),
        }
        if self._pending is not None:
            torch.cuda.current_stream().wait_stream(self._beside)
            starts, classes = self._pending
            kept |= {"pending_starts": starts.cpu(), "pending_takes": classes.cpu()}
        return kept

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Go on with what was kept. Takes of another count or length are drawn anew."""
        device = next(self._network.parameters()).device
        wanted = (self._count, self._data.frames * self._data.hop)
        self._age = int(kept["age"])
        if kept["takes"].shape == wanted:
            self._starts, self._classes = kept["starts"].to(device), kept["takes"].to(device)
        pending = kept.get("pending_takes")
        if self._beside is not None and pending is not None and pending.shape == wanted:
            self._pending = kept["pending_starts"].to(device), pending.to(device)

    def _refresh(self) -> None:
        if self._beside is None:
            starts, draw = self._begin()
            self._starts, self._classes = starts, draw()
            return
        here = torch.cuda.current_stream()
        if self._pending is None:
            self._launch()
        assert self._pending is not None
        here.wait_stream(self._beside)
        self._starts, self._classes = self._pending
        self._classes.record_stream(here)
        self._launch()

    def _launch(self) -> None:
        starts, draw = self._begin()
        self._beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._beside):
            classes = draw()
        # What draws is kept as long as it is at work: its tensors belong to the other stream.
        self._pending, self._drawing = (starts.to(classes.device), classes), draw

    def _begin(self) -> tuple[Tensor, Callable[[], Tensor]]:
        seed = (self._seed * 1_000_003 + self._age) % 2**63
        random = torch.Generator().manual_seed(seed)
        starts = self._data.draw(self._count, random)
        return starts, _begin(self._network, self._data, starts, seed)
