"""The WaveNet's samplers by name, and which one this machine should use."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from common.names import SAMPLERS, SamplerName
from synth.vocoders.wavenet.network import WaveNetConfig
from synth.vocoders.wavenet.samplers import cpu as sampler_cpu
from synth.vocoders.wavenet.samplers import reference as sampler_reference
from synth.vocoders.wavenet.samplers.contract import Sampler

NO_TRITON = (
    "sampler 'triton' needs the triton package, which comes with PyTorch's build for NVIDIA GPUs "
    "on Linux"
)


def load_sampler(name: str) -> tuple[Sampler, torch.device]:
    """A sampler, and the device where its state and inputs live.

    What it packs, only the sampler itself can read. Raises ValueError for a name that no
    sampler has, or what this machine lacks for it.
    """
    if name == "triton":
        if find_spec("triton") is None:
            raise ValueError(NO_TRITON)
        # Only now: the import takes a while, and other systems have no such package.
        from synth.vocoders.wavenet.samplers import triton as sampler_triton

        return sampler_triton, sampler_triton.device()
    modules: dict[str, Sampler] = {"cpu": sampler_cpu, "reference": sampler_reference}
    if name not in modules:
        allowed = ", ".join(SAMPLERS)
        raise ValueError(f"sampler: expected one of {allowed}, got {name!r}")
    return modules[name], torch.device("cpu")


def best_sampler(config: WaveNetConfig) -> SamplerName:
    """The fastest for such a network here: triton where a GPU can take it, else cpu."""
    if not torch.cuda.is_available() or find_spec("triton") is None:
        return "cpu"
    from synth.vocoders.wavenet.samplers import triton as sampler_triton

    try:
        sampler_triton.check_sizes(config.residual, config.skip, config.dilations)
    except ValueError:
        return "cpu"
    return "triton"
