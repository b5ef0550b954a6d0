"""Names that flags, banks and rooms agree on."""

from __future__ import annotations

from typing import Literal, get_args

VocoderName = Literal["spectral", "wavenet"]
VOCODERS: tuple[VocoderName, ...] = get_args(VocoderName)
"""The vocoders that a bank can be played through."""
SamplerName = Literal["cpu", "reference", "triton"]
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)
"""Who can draw the WaveNet's samples."""
