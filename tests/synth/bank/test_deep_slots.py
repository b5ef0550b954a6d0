"""Deep patches in a bank: saved, moved about and played like others, also just after a save."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.torch import save_file

from daw_bridge.events import NoteOn
from daw_bridge.windows import Windows
from synth.bank.bank import Bank, load_bank
from synth.bank.deep_slots import SLOTS
from synth.bank.patch_file import save_patch
from synth.instrument import Instrument
from synth.mel2mel.deep import COUNT, curves_of, text_of
from synth.vocoders.spectral.vocoder import SpectralVocoder
from tests.toy_bank import ANALYSIS, make_moving_mel2mel


def curves(seed: int) -> str:
    return text_of(np.random.default_rng(seed).normal(0, 0.7, COUNT))


@pytest.fixture
def bank(toy_bank: Path, tmp_path: Path) -> Bank:
    """A toy bank with levels, and a deep patch among the user's."""
    folder = shutil.copytree(toy_bank, tmp_path / "bank")
    content = yaml.safe_load((folder / "bank.yaml").read_text())
    content["mel2mel"] |= {"decay_bands": 5, "blend": 1, "movement": 1}
    (folder / "bank.yaml").write_text(yaml.safe_dump(content))
    weights = {key: tensor.half() for key, tensor in make_moving_mel2mel().state_dict().items()}
    save_file(weights, folder / "mel2mel.safetensors")
    own = tmp_path / "own"
    own.mkdir()
    patch = load_bank(folder).patch("piano")
    save_patch(own, replace(patch, name="flute", deep=curves(1)), overwrite=False)
    return load_bank(folder, own)


def sound(instrument: Instrument, point: tuple[float, ...]) -> np.ndarray:
    engine, windows = instrument.engine(lookahead=0), Windows(ANALYSIS.hop, point)
    return engine.render(windows.frames([NoteOn(0, 1, 60, 100)], 0, 80), 80)


def save(bank: Bank, name: str, deep: dict[str, float]) -> None:
    settings = {"embedding": (0.1, 0.2), "knobs": {}, "gain_db": 0.0, "pan": 0.0}
    bank.save(name, **settings, overwrite=False, deep=deep)


def test_it_stays_deep_whatever_is_done_with_it(bank):
    flute = bank.patch("flute").deep
    bank.duplicate("flute", "copy")
    bank.rename("copy", "oboe")
    bank.import_text("taken", bank.export_text("oboe"))
    bank.describe("taken", "A. Name", ("warm",))
    bank.delete("taken")
    bank.undo()
    for name in ("oboe", "taken"):
        assert bank.patch(name).deep == flute
    again = load_bank(bank.path, bank.own.folder)
    assert again.patch("taken").deep == flute and again.patch("piano").deep == ""


def test_a_morph_is_saved_as_one(bank):
    save(bank, "half", {bank.patch("flute").deep: 0.5})
    half = curves_of(bank.patch("half").deep)
    np.testing.assert_allclose(half, curves_of(curves(1)) / 2, atol=1e-3)
    save(bank, "plain", {})
    assert bank.patch("plain").deep == ""


def test_a_patch_that_was_just_saved_is_heard(bank):
    instrument = Instrument(bank, SpectralVocoder(ANALYSIS))
    before = sound(instrument, bank.point("piano"))
    flute = sound(instrument, bank.point("flute"))
    assert np.abs(flute - before).max() > 1e-3
    save(bank, "new", {curves(2): 1.0})
    new = sound(instrument, bank.point("new"))
    afresh = load_bank(bank.path, bank.own.folder)
    np.testing.assert_array_equal(
        new, sound(Instrument(afresh, SpectralVocoder(ANALYSIS)), afresh.point("new"))
    )
    np.testing.assert_array_equal(before, sound(instrument, bank.point("piano")))


def test_patches_that_are_played_keep_their_slots(bank):
    first = bank.amounts({curves(0): 0.5})
    others = [curves(0)]
    for seed in range(1, 2 * SLOTS):
        told = bank.amounts({curves(seed): 1.0}, others)
        assert sum(told) == 1.0 and len(told) == SLOTS
        assert not first[told.index(1.0)]
    assert bank.amounts({curves(0): 0.5}) == first
    with pytest.raises(ValueError, match="expected base64"):
        bank.amounts({"none": 1.0})


def test_a_deep_patch_that_is_none_is_left_out(bank, caplog):
    path = bank.own.folder / "odd.yaml"
    path.write_text("embedding: [0, 0.1]\ndeep: QUJD\n")
    text = f"{path}: deep: expected base64 of {COUNT} half floats"
    assert bank.reload() == [text] and "odd" not in bank.patches
