"""`fit --deep`: a timbre that the bank has not learnt is brought nearer, also where it was not
heard."""

from __future__ import annotations

import numpy as np
import soundfile
import torch

from synth.bank.bank import Bank, load_bank
from synth.instrument import Instrument
from synth.mel2mel.deep import COUNT, HERTZ, PARTIALS, curves_of, text_of
from synth.vocoders.spectral.vocoder import SpectralVocoder
from tests.toy_bank import ANALYSIS
from tests.trainer.fit.conftest import tune
from tests.trainer.fit.test_fit import flags
from trainer.__main__ import main
from trainer.fit.fitting import distance_of, fit_recording
from trainer.fit.recording import Recording
from trainer.fit.score import Score, make_score
from trainer.fit.takes import play_score

POINT = (0.3, 0.4)


def strange() -> str:
    """Even partials missing, and a hill at 1 kHz: no point of the bank has that."""
    curves = torch.zeros(COUNT)
    partials = curves[: 4 * len(PARTIALS)].view(4, -1)
    partials[:, [PARTIALS.index(float(n)) for n in range(2, 30, 2)]] = -2.0
    hills = curves[4 * len(PARTIALS) :][: 12 * len(HERTZ)].view(12, -1)
    hills[:] = 1.5 * (-(torch.tensor(HERTZ) / 1_000).log2().square()).exp()
    return text_of(curves.numpy())


def take(bank: Bank, score: Score, count: int) -> np.ndarray:
    """Frames of a score that the strange timbre plays."""
    instrument = Instrument(bank, SpectralVocoder(ANALYSIS))
    point = (*POINT, *[0.0] * bank.more, *bank.amounts({strange(): 1.0}))
    return play_score(instrument, score, 0, count, point).astype(np.float32)


def test_a_strange_timbre_comes_near(knobby):
    score = make_score(tune(12.0), ANALYSIS)
    heard, rest = (
        Recording(part, ANALYSIS.rate, ANALYSIS.rate / 2, "", "", 0.0)
        for part in np.split(take(knobby, score, 1_400), [700 * ANALYSIS.hop])
    )
    found = fit_recording(knobby, heard, score, placed=True, deep=True)
    assert found.deep and found.distance < 0.7 * found.plain_distance
    # Notes that it was not fitted to gain, too.
    plain, deep = (
        distance_of(knobby, rest, score, found.place.lag + 700, found, one) for one in (False, True)
    )
    assert deep < 0.8 * plain


def test_a_deep_patch_is_saved_and_played(knobby, score, midi, tmp_path, capsys):
    recording = tmp_path / "strange.wav"
    soundfile.write(recording, take(knobby, score, 700), ANALYSIS.rate, subtype="FLOAT")
    assert main(flags(knobby, recording, tmp_path, "--midi", midi, "--deep")) == 0
    assert "deep      key templates adapted; without that, " in capsys.readouterr().out
    bank = load_bank(knobby.path, tmp_path / "own")
    patch = bank.patch("taken")
    assert len(curves_of(patch.deep)) == COUNT and patch.tags == ("fitted", "deep")
    instrument = Instrument(bank, SpectralVocoder(ANALYSIS))
    plain, deep = (
        play_score(instrument, score, 0, 60, (*patch.embedding, *[0.0] * bank.more, *amounts))
        for amounts in (bank.amounts({}), bank.amounts({patch.deep: 1.0}))
    )
    assert np.abs(plain - deep).max() > 0.1 * np.abs(plain).max()
