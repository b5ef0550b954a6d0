"""What a sound's surface is like: statistics of band envelopes, and one distance between two.

After McDermott and Simoncelli, "Sound texture perception via statistics of the auditory
periphery", Neuron 71 (2011). The sound passes 32 half-cosine filters, evenly spread in ERB
from 50 Hz to 8 kHz, each overlapping its neighbours by half; a band's envelope is the magnitude
of its analytic signal, compressed (power 0.3) and sampled at 400 Hz. Of each envelope:

    mean        its mean, all bands together scaled to a sum of squares of one: so loudness
                itself does not count, but how it is spread over frequency
    spread      standard deviation over mean
    skew        third standardised moment
    modulation  how the variance is spread over modulation frequencies: the root of its share
                below 0.5 Hz and in each of eight octaves from there to 128 Hz

Only bands count in which the original's mean lies within 50 dB of its loudest band's. For each
of the four, the error is the root of sum (ours - original)^2 / sum (ours^2 + original^2), over
bands (and octaves): 0 for the same, 1 where one has nothing of what the other has, at most 1.41.
The distance is the mean of the four. It does not ask when anything happens: two takes of one
noise are near, a noise and a tone are far.

Held keys are compared from 1 to 4 s, and a phrase as a whole. Nothing is asked; as a yardstick,
two such stretches of one note of FluidSynth's strings differ by 0.13 to 0.26.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.measures.play.findings import Finding
from benchmarks.measures.play.stage import Pair

BANDS, LOW_HZ, HIGH_HZ = 32, 50.0, 8_000.0
COMPRESSION = 0.3
ENVELOPE_RATE = 400
OCTAVES_HZ = 0.5 * 2.0 ** np.arange(9)
AUDIBLE_DB = 50.0
SILENT = 1e-7
STILL = 1e-4
"""A spread below which an envelope stands still: what rounding makes of it is no texture."""
HELD_S = (1.0, 4.0)


@dataclass(frozen=True, slots=True)
class Texture:
    """Statistics of band envelopes. mean, spread, skew (BANDS,); modulation (BANDS, 9)."""

    mean: np.ndarray
    spread: np.ndarray
    skew: np.ndarray
    modulation: np.ndarray


def finding(patch: str, played: str, pair: Pair) -> Finding:
    """The texture distance between ours and the original of a stretch of sound."""
    return Finding("texture", patch, played, "distance", distance(pair))


def distance(pair: Pair) -> float:
    """The texture distance of ours from the original: 0, the same, .. 1.41."""
    ours, original = (texture(x, pair.rate) for x in (pair.ours, pair.original))
    least = original.mean.max() * 10 ** (-AUDIBLE_DB / 20 * COMPRESSION)
    heard = original.mean > least
    errors = []
    for name in ("mean", "spread", "skew", "modulation"):
        a, b = getattr(ours, name)[heard], getattr(original, name)[heard]
        both = float((a**2 + b**2).sum())
        errors.append(float(((a - b) ** 2).sum()) / both if both else 0.0)
    return float(np.sqrt(errors).mean())


def texture(audio: np.ndarray, rate: int) -> Texture:
    """Statistics of audio (samples,)."""
    envelopes = band_envelopes(audio, rate)
    mean, sd = envelopes.mean(axis=1), envelopes.std(axis=1)
    moved = envelopes - mean[:, None]
    still = sd < STILL * mean
    skew = np.where(still, 0, (moved**3).mean(axis=1) / np.maximum(sd, 1e-20) ** 3)
    power = np.abs(np.fft.rfft(moved * np.hanning(moved.shape[1]), axis=1)) ** 2
    hertz = np.fft.rfftfreq(moved.shape[1], 1 / ENVELOPE_RATE)
    octave = np.digitize(hertz, OCTAVES_HZ)
    parts = [power[:, octave == i].sum(axis=1) for i in range(len(OCTAVES_HZ))]
    shares = np.sqrt(np.stack(parts, axis=1) / np.maximum(power.sum(axis=1), 1e-20)[:, None])
    return Texture(
        mean / max(float(np.sqrt((mean**2).sum())), 1e-12),
        sd / np.maximum(mean, 1e-12),
        skew,
        np.where(still[:, None], 0, shares),
    )


def band_envelopes(audio: np.ndarray, rate: int) -> np.ndarray:
    """Compressed envelopes (BANDS, seconds * 400) of audio (samples,).

    A band's few bins are shifted down to 0 Hz and transformed back by themselves: the magnitude
    of an analytic signal does not change with its carrier, and needs few samples a second.
    """
    spectrum = np.fft.fft(audio.astype(np.float64))[: len(audio) // 2]
    hertz = np.arange(len(spectrum)) * rate / len(audio)
    erb = _erb(hertz)
    centres = np.linspace(_erb(np.array(LOW_HZ)), _erb(np.array(HIGH_HZ)), BANDS)
    width = centres[1] - centres[0]
    count = round(len(audio) / rate * ENVELOPE_RATE)
    envelopes = []
    for centre in centres:
        inside = np.flatnonzero(np.abs(erb - centre) < width)
        if not len(inside):
            envelopes.append(np.zeros(count))
            continue
        weight = np.cos(np.pi / 2 * (erb[inside] - centre) / width)
        size = 1 << int(np.ceil(np.log2(max(len(inside), count))))
        narrow = np.zeros(size, complex)
        narrow[: len(inside)] = spectrum[inside] * weight
        envelope = np.abs(np.fft.ifft(narrow)) * (2 * size / len(audio))
        at = np.arange(count) * size / count
        compressed = np.maximum(envelope, SILENT) ** COMPRESSION
        envelopes.append(
            _lowpassed(compressed, count)
            if size > 2 * count
            else np.interp(at, np.arange(size), compressed)
        )
    return np.array(envelopes)


def _lowpassed(x: np.ndarray, count: int) -> np.ndarray:
    """x at `count` samples, by cutting its spectrum."""
    return np.fft.irfft(np.fft.rfft(x)[: count // 2 + 1], count) * (count / len(x))


def _erb(hertz: np.ndarray) -> np.ndarray:
    """Glasberg and Moore's scale: how many ear's filters lie below a frequency."""
    return 21.4 * np.log10(1 + 0.00437 * hertz)
