"""Mu-law: samples in -1..1 as one of 256 classes, finer near silence (ITU-T G.711's curve)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CLASSES = 256
SILENCE = 128
"""The class that silence is coded as."""

_MU = CLASSES - 1


def encode(samples: Tensor) -> Tensor:
    """Nearest class 0..255 (int64) of samples; what lies beyond -1..1 is clipped.

    >>> encode(torch.tensor([-1.0, 0.0, 0.5, 2.0])).tolist()
    [0, 128, 239, 255]
    """
    clipped = samples.clamp(-1, 1)
    curved = clipped.sign() * (_MU * clipped.abs()).log1p() / math.log1p(_MU)
    return ((curved + 1) / 2 * _MU + 0.5).long()


def decode(classes: Tensor) -> Tensor:
    """The sample in -1..1 (float32) that a class stands for.

    >>> decode(torch.tensor([0, 128, 255])).tolist()
    [-1.0, 8.621159213362262e-05, 1.0]
    """
    # In float32 the quietest classes would differ from machine to machine in the fifth digit.
    curved = 2 * classes.double() / _MU - 1
    return (curved.sign() * torch.expm1(curved.abs() * math.log1p(_MU)) / _MU).float()
