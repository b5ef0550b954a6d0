"""A bank's places for deep patches: tables that the network and all engines share.

A place is filled when a patch is first played, or heard in a morph; so it does not matter whether
the patch was there at the start or has just been saved. Nothing waits for it: an amount that was 0
is not read by anybody.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

import numpy as np
import torch

from common.window import PARTS
from synth.mel2mel.deep import Deltas, Expander, curves_of, empty_deltas
from synth.mel2mel.network import Mel2Mel

SLOTS = 2 * len(PARTS)
"""Every part may play a morph between two deep patches."""


class DeepSlots:
    """Any thread may ask."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        """The slot of each deep patch that was asked for, the one asked for last at the end."""
        self._deltas: Deltas | None = None
        self._expand: Expander | None = None
        self._filling = threading.Lock()

    def lend(self, net: Mel2Mel) -> None:
        """Let a network of the bank play what is in the slots, now and later."""
        if net.templates is None:
            return
        with self._filling:
            if self._deltas is None:
                self._deltas = empty_deltas(net.templates, SLOTS)
                self._expand = Expander(net.templates)
                for text, slot in self._held.items():
                    self._fill(slot, curves_of(text))
        net.templates.deep = self._deltas

    def amounts(self, deep: Mapping[str, float], others: Collection[str]) -> tuple[float, ...]:
        """Numbers behind an embedding that play deep patches by their amounts, 0..1.

        deep: as patches hold them -> amount; others: those that are played elsewhere, and keep
        their slots. ValueError where one is none.
        """
        told = [0.0] * SLOTS
        with self._filling:
            for text, amount in deep.items():
                told[self._slot(text, {*deep, *others})] += amount
        return tuple(told)

    def _slot(self, text: str, kept: Collection[str]) -> int:
        slot = self._held.pop(text, None)
        if slot is None:
            curves = curves_of(text)
            slot = len(self._held)
            if slot == SLOTS:
                # The one that nobody has asked for longest.
                spare = next((one for one in self._held if one not in kept), next(iter(self._held)))
                slot = self._held.pop(spare)
            self._fill(slot, curves)
        self._held[text] = slot
        return slot

    def _fill(self, slot: int, curves: np.ndarray) -> None:
        if self._deltas is None or self._expand is None:
            return
        made = self._expand(torch.from_numpy(curves))
        for table, new in zip(self._deltas[:-1], made[:-1], strict=True):
            table[slot] = new[0]
        # Spectra that were made of what stood there do not hold any more.
        self._deltas.edition.add_(1)
