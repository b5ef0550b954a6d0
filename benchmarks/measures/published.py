"""The published figures, to compare ours with: Kim et al. (arXiv 1811.00223).

Mean r by frequency was read off the paper's plots, so it holds to about 0.005. The paper's
figures by instrument average 0.715, and so do its three losses over all frequencies (0.714): it
seems that they are means over the losses, so we show them beside every loss.
"""

from __future__ import annotations

from dataclasses import dataclass

HERTZ = (55, 220, 440, 880, 1760, 3520)
"""Where the paper's curves were read."""


@dataclass(frozen=True, slots=True)
class Curve:
    """mean: r over 84 semitone bins; at: r at each of `HERTZ`."""

    mean: float
    at: tuple[float, ...]


MU_LAW = Curve(0.979, (0.966, 0.990, 0.997, 0.995, 0.989, 0.934))
TRUE_MEL = Curve(0.854, (0.776, 0.857, 0.890, 0.907, 0.918, 0.873))
BY_LOSS = {
    "tanh-log-abs": Curve(0.754, (0.659, 0.745, 0.769, 0.803, 0.840, 0.822)),
    "log-abs": Curve(0.754, (0.655, 0.722, 0.767, 0.825, 0.852, 0.830)),
    "abs": Curve(0.635, (0.538, 0.541, 0.624, 0.689, 0.762, 0.761)),
}
"""From notes, through Mel2Mel trained with that loss and the WaveNet."""

BY_INSTRUMENT = {
    "grand-piano": 0.713,
    "electric-piano": 0.714,
    "vibraphone": 0.760,
    "church-organ": 0.646,
    "acoustic-guitar": 0.748,
    "pizzicato-strings": 0.816,
    "orchestral-harp": 0.732,
    "string-ensemble": 0.664,
    "trumpet": 0.668,
    "synth-lead": 0.690,
}
"""From notes, through Mel2Mel and the WaveNet."""


def published(condition: str, loss: str, instrument: str) -> float | None:
    """The paper's mean r for a row of the fidelity table, or None where it has none.

    From notes it is always that of the paper's WaveNet, also beside another vocoder.

    >>> published("mu-law", "-", "all"), published("notes -> mel2mel -> spectral", "abs", "all")
    (0.979, 0.635)
    """
    if condition.startswith("notes"):
        if instrument != "all":
            return BY_INSTRUMENT.get(instrument)
        return BY_LOSS[loss].mean if loss in BY_LOSS else None
    known = {"mu-law": MU_LAW, "true mel -> wavenet": TRUE_MEL}
    return known[condition].mean if condition in known and instrument == "all" else None
