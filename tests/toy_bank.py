"""A bank small enough to be made in a moment, and unlike the default in every size it can be.

Its weights are random but always the same; key templates make it play in tune all the same.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

from common.patch import Patch
from synth.bank.patch_file import save_patch
from synth.mel import Analysis
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig

ANALYSIS = Analysis(rate=16_000, hop=128, window=512, mels=24)
MEL2MEL = Mel2MelConfig(instruments=3, embedding=2, hidden=16, timbre_features=4, analysis=ANALYSIS)
WAVENET = WaveNetConfig(mels=ANALYSIS.mels, layers=4, cycle=4, residual=16, skip=32)
GUIDED = replace(WAVENET, guide=5, sharpness=2.0, emphasis=0.5)
"""The same with a guide."""
RING_OUT_S = 0.2
PATCHES = (
    Patch("piano", (0.8, 0.2), {"brightness": 0.5}, program=0),
    Patch("organ", (-0.6, 0.9), {"brightness": 0.25}, gain_db=-3.0, program=19),
    Patch("bright-lead", (-0.3, -1.1), {"brightness": 1.0}, gain_db=-6.0, pan=0.5),
)


def make_mel2mel() -> Mel2Mel:
    """The toy's network, for playing, with every weight in half precision as in a bank."""
    torch.manual_seed(1)
    net = Mel2Mel(MEL2MEL)
    with torch.no_grad():
        net.instruments.weight.copy_(torch.tensor([p.embedding for p in PATCHES]))
        # Untrained heads are zero: then neither timbre nor lookahead would be heard.
        net.mel.weight.normal_(std=0.3)
        net.fine.weight.normal_(std=0.3)
        net.templates.by_timbre.normal_(std=0.2)
        # A few parts together stay below the limiter, and highs below lows.
        net.templates.base.sub_(torch.linspace(1.5, 3.5, ANALYSIS.bands))
    return net.half().float().eval().requires_grad_(False)


def make_moving_mel2mel() -> Mel2Mel:
    """Much the same network, with decays, levels and bands that move."""
    torch.manual_seed(1)
    net = Mel2Mel(replace(MEL2MEL, decay_bands=5, blend=1, movement=1))
    with torch.no_grad():
        net.templates.by_timbre.normal_(std=0.2)
        net.templates.spread.bias.uniform_(0.1, 0.6)
        net.templates.spread.weight.normal_(std=0.1)
        net.templates.memory.weight.normal_(std=0.5)
    return net.half().float().eval().requires_grad_(False)


def make_wavenet(config: WaveNetConfig = WAVENET) -> WaveNet:
    """The toy's vocoder: noise, but noise that its frames and draws decide."""
    torch.manual_seed(2)
    return WaveNet(config).half().float().eval().requires_grad_(False)


def make_toy_bank(folder: Path, wavenet: WaveNetConfig = WAVENET) -> Path:
    """Write a whole bank, three patches and a wavenet, into folder and return folder."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = ("instruments", "embedding", "hidden", "timbre_features")
    content = {
        "audio": {"rate": ANALYSIS.rate, "hop": ANALYSIS.hop, "window": ANALYSIS.window},
        "mels": ANALYSIS.mels,
        "mel2mel": {name: getattr(MEL2MEL, name) for name in sizes},
        "wavenet": {name: getattr(wavenet, name) for name in _stated(wavenet)},
        "ring_out_s": RING_OUT_S,
        "knobs": {"brightness": [0.5, -0.25]},
        "fidelity": {"spectral": 0.6, "wavenet": 0.5},
        "about": {"made": "for tests"},
    }
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None)
    (folder / "bank.yaml").write_text(text, encoding="utf-8")
    for name, net in (("mel2mel", make_mel2mel()), ("wavenet", make_wavenet(wavenet))):
        weights = {key: tensor.half() for key, tensor in net.state_dict().items()}
        save_file(weights, folder / f"{name}.safetensors")
    for patch in PATCHES:
        save_patch(folder, patch, overwrite=True)
    return folder


def _stated(wavenet: WaveNetConfig) -> list[str]:
    """What bank.yaml says of a wavenet."""
    more = ("guide", "sharpness", "emphasis") if wavenet.guide else ()
    return ["layers", "cycle", "residual", "skip", *more]
