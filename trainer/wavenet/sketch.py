"""What a WaveNet can do by now: two seconds of held-out music, as sound and as a picture."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from common.files import whole_file
from synth.mel import Analysis, log_mel, mel_filters, mel_from_magnitudes
from synth.output.wav import WavWriter
from synth.vocoders.wavenet.network import WaveNet
from synth.vocoders.wavenet.vocoder import WaveNetVocoder
from trainer.data.dataset import Excerpt, audio_around, framed_magnitudes

CLIP_S = 2.0


def sketch_clip(
    network: WaveNet, excerpt: Excerpt, analysis: Analysis, folder: Path, iteration: int
) -> Path:
    """Play the middle of an excerpt by its true mel frames; returns the .wav that was written.

    Beside it lies a .png of the true and the played spectrogram, if there is matplotlib.
    """
    frames = min(round(CLIP_S * analysis.frame_rate), len(excerpt.roll))
    start = (len(excerpt.roll) - frames) // 2 * analysis.hop
    cut = audio_around(excerpt.audio, start, frames * analysis.hop, analysis.window // 2)
    linear = framed_magnitudes(cut[None], analysis)
    true = mel_from_magnitudes(linear, mel_filters(analysis))
    vocoder = WaveNetVocoder(deepcopy(network).to("cpu", torch.float32), "cpu")
    draws = torch.rand(1, frames, vocoder.hop, generator=torch.Generator().manual_seed(0))
    samples, _ = vocoder.step(true, vocoder.initial_state(1), draws)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{iteration:07d}.wav"
    with whole_file(path) as file:
        writer = WavWriter(file, analysis.rate, 1)
        writer.write(samples[0].numpy()[:, None])
        writer.renew_header()
    titles = {"true": true[0], f"played, iteration {iteration}": log_mel(samples, analysis)[0]}
    draw_spectrograms(path.with_suffix(".png"), titles, analysis)
    return path


def draw_spectrograms(path: Path, mels: dict[str, Tensor], analysis: Analysis) -> bool:
    """A picture of mel spectrograms (frames, mels), one above the other; False where there is
    no matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(8, 2.4 * len(mels)), layout="constrained")
    plots = figure.subplots(len(mels), sharex=True, squeeze=False)[:, 0]
    for plot, (title, mel) in zip(plots, mels.items(), strict=True):
        seconds = len(mel) / analysis.frame_rate
        extent = (0, seconds, 0, analysis.mels)
        shown = {"origin": "lower", "aspect": "auto", "vmin": -10, "vmax": 0}
        plot.imshow(mel.T.numpy(), extent=extent, **shown)
        plot.set(title=title, ylabel="mel band")
    plots[-1].set_xlabel("seconds")
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=80)
    return True
