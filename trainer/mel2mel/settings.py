"""Sizes of Mel2Mel and how it is taught: flags of its command. No torch, so that help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval
from tyro.conf import arg

from common.flags import Count, Positive

Weight = Annotated[Positive, arg(metavar="WEIGHT")]
LossName = Literal["tanh-log-abs", "log-abs", "abs"]
TIMBRE_FEATURES = 12
DECAY_BANDS = 8


@dataclass(frozen=True, slots=True)
class Mel2MelSizes:
    """Sizes of the network."""

    embedding: Count = 2
    """Dimensions of the timbre space."""
    hidden: Count = 256
    """Width of the network."""
    timbre_features: Annotated[
        int | None,
        Interval(ge=0),
        arg(metavar="N", help_behavior_hint=f"(default: {TIMBRE_FEATURES})"),
    ] = None
    """Functions of the timbre that shape its key templates; 0 for plain layers without them."""
    decay_bands: Annotated[int, Interval(ge=0), arg(metavar="N")] = DECAY_BANDS
    """Bands, an octave each, in which held keys fade at rates of their own; 0 for none."""
    blend: Literal[0, 1] = 1
    """1: timbres mix as shares of sum 1, and levels apart from spectra; 0: as in older banks."""
    basis: Annotated[int, Interval(ge=0, le=256), arg(metavar="N")] = 0
    """Spectra that all those of a key are mixed of, for many instruments; 0: each function of the
    timbre has spectra of its own, a megabyte of weights."""
    no_fine: bool = False
    """Leave out the fine head, which the spectral vocoder needs, and with it the templates."""

    def config(self) -> dict[str, Any]:
        """The fields of the network's config. Raises ValueError for sizes that exclude others."""
        if self.no_fine and self.timbre_features:
            raise ValueError("--timbre-features: expected 0 with --no-fine, which leaves them out")
        features = 0 if self.no_fine else TIMBRE_FEATURES
        if self.timbre_features is not None:
            features = self.timbre_features
        templates = {"decay_bands": self.decay_bands, "blend": self.blend, "basis": self.basis}
        templates = templates if features else {}
        return templates | {
            "embedding": self.embedding,
            "hidden": self.hidden,
            "fine": not self.no_fine,
            "timbre_features": features,
        }


@dataclass(frozen=True, slots=True)
class LossSettings:
    """What is compared, and how much each head counts."""

    name: Annotated[LossName, arg(name="loss")] = "tanh-log-abs"
    """What is compared of magnitudes S: tanh(log S / 4), log S or S itself."""
    mel_weight: Weight = 4.0
    """Weight of the mel head's mean square error."""
    fine_weight: Weight = 1.0
    """Weight of the fine head's mean absolute error."""
    log_weight: Annotated[
        Positive | None,
        arg(metavar="WEIGHT", help_behavior_hint="(default: 0.1 with tanh-log-abs, else 0)"),
    ] = None
    """Weight of the fine head's absolute error of log S / 4: quiet partials count a little."""
    slope_weight: Annotated[
        Positive | None,
        arg(metavar="WEIGHT", help_behavior_hint="(default: 1 with tanh-log-abs, else 0)"),
    ] = None
    """Weight of the errors of the fine head's slopes, from which phases are read."""


@dataclass(frozen=True, slots=True)
class Mel2MelSettings:
    """All that is Mel2Mel's own in a training run."""

    sizes: Mel2MelSizes = Mel2MelSizes()
    """How large the network is."""
    loss: LossSettings = LossSettings()
    """What is compared with the rendered sound."""
    template_rate: Annotated[
        Positive | None,
        arg(
            metavar="RATE",
            help_behavior_hint="(default: 0.003 if the data set holds single keys, else 0.03)",
        ),
    ] = None
    """Learning rate of the key templates, which begin as single keys if there are any."""
    grow: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """Weights (.safetensors) of another mel2mel, of which a new run takes what fits."""
