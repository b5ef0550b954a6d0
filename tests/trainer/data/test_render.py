"""Rendering a data set: whole, resumable, the same every time, and refused when it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from daw_bridge.midi.file import read_midi_file
from daw_bridge.piano_roll import PianoRoll
from tests.trainer.tiny_soundfont import PROGRAMS
from trainer.data.dataset import DataSet, load_excerpt
from trainer.data.render import Recipe, render
from trainer.data.score import excerpt, score_events


@pytest.fixture
def recipe(corpus: Path, soundfont: Path, tmp_path: Path) -> Recipe:
    """Two programs, each with four excerpts to train on, one held out and one test piece."""
    return Recipe(
        midi=corpus,
        soundfont=soundfont,
        out=tmp_path / "data",
        programs=PROGRAMS,
        train_minutes=0.2,
        val_minutes=0.05,
        etude_share=0.5,
        seconds=3.0,
        key_s=0.0,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_recipe_becomes_a_data_set_that_training_can_load(recipe):
    assert render(recipe, 1) == recipe.out / "manifest.yaml"
    made = contents(recipe.out)
    assert len(made) == 1 + 2 * (4 + 1 + 1) and not [n for n in made if n.endswith(".part")]
    manifest = yaml.safe_load((recipe.out / "manifest.yaml").read_text())
    assert manifest["programs"] == PROGRAMS and manifest["gains_db"].keys() == PROGRAMS.keys()
    for split, count in {"train": 8, "val": 2, "test": 2}.items():
        excerpts = DataSet(recipe.out, split, frames=10).excerpts
        assert len(excerpts) == count
        for found in excerpts:
            seconds = 3.0 if split != "test" else 7.5
            assert len(found.audio) == seconds * 16_000
            assert len(found.roll) == -(-len(found.audio) // 128)
            assert np.abs(found.audio).max() > 1_000 and found.roll.max() > 20


def test_each_key_alone_is_held_by_every_program(recipe):
    recipe = replace(recipe, train_minutes=0, val_minutes=0, test_pieces=0)
    recipe = replace(recipe, keys=(60, 61), key_s=2.0)
    render(recipe, 1)
    made = sorted(path.stem for path in (recipe.out / "keys").iterdir())
    assert made == [f"0{key}-{patch}" for key in (60, 61) for patch in sorted(PROGRAMS)]
    for path in (recipe.out / "keys").iterdir():
        found = load_excerpt(path, list(PROGRAMS))
        onset = np.argwhere(found.roll[:, 88:])
        assert onset.tolist() == [[25, int(path.stem[:3]) - 21]]
        assert (found.roll[:, :88] > 0).sum() == 250 and np.abs(found.audio).max() > 1_000


def test_the_roll_is_what_the_audio_plays(recipe):
    render(recipe, 1)
    found = load_excerpt(recipe.out / "test" / "test-piece-soft-wave.npz", list(PROGRAMS))
    events = score_events(read_midi_file(recipe.midi / "test-piece.mid"), 16_000)
    roll = PianoRoll(128).frames(excerpt(events, 0, 96_000), 0, len(found.roll))
    assert np.array_equal(found.roll, np.rint(roll * 127))
    first = int(roll[:, 88:].any(1).argmax()) * 128
    assert np.abs(found.audio[: first - 128]).max() < 30
    assert np.abs(found.audio[first : first + 1_280]).max() > 1_000


def test_an_interrupted_render_goes_on_to_the_same_bytes(recipe):
    render(recipe, 1)
    whole = contents(recipe.out)
    lost = [name for name in sorted(whole) if name.endswith(".npz")][::3]
    for name in lost:
        (recipe.out / name).unlink()
    (recipe.out / lost[0]).with_suffix(".part").write_bytes(b"half a file")
    kept = (recipe.out / sorted(whole.keys() - set(lost))[1]).stat().st_mtime_ns
    render(recipe, 2)
    assert contents(recipe.out) == whole
    assert (recipe.out / sorted(whole.keys() - set(lost))[1]).stat().st_mtime_ns == kept


def test_the_seed_decides_what_is_rendered(recipe, tmp_path):
    again = replace(recipe, out=tmp_path / "again")
    other = replace(recipe, out=tmp_path / "other", seed=1)
    for each in (recipe, again, other):
        render(each, 1)
    assert contents(recipe.out) == contents(again.out)
    name = "train/0000-soft-wave.npz"
    assert contents(recipe.out)[name] != contents(other.out)[name]


def set_field(field: str, value: object) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, **{field: value})


def new_corpus(recipe: Recipe) -> Recipe:
    with (recipe.midi / "manifest.csv").open("a") as file:
        file.write("train-piece.mid,Piece,5.0,train\n")
    return recipe


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (set_field("seed", 2), "seed"),
        (set_field("etude_share", 0.1), "etude_share"),
        (set_field("key_s", 9.0), "key_s"),
        (set_field("programs", {"soft-wave": 0}), "programs"),
        (new_corpus, "corpus_sha256"),
    ],
)
def test_the_folder_of_another_recipe_is_refused_and_left_alone(recipe, change, field):
    render(recipe, 1)
    before = contents(recipe.out)
    with pytest.raises(ValueError, match=f"manifest.yaml: {field} is .* choose another --out"):
        render(change(recipe), 1)
    assert contents(recipe.out) == before


def test_a_data_set_from_before_corpora_were_told_apart_is_gone_on_with(recipe):
    manifest = render(recipe, 1)
    told = yaml.safe_load(manifest.read_text())
    del told["corpus_sha256"]
    manifest.write_text(yaml.safe_dump(told, sort_keys=False))
    assert render(recipe, 1) == manifest


def test_pieces_shorter_than_the_calibration_still_set_the_level(recipe):
    render(recipe, 1)
    peaks = [np.abs(e.audio).max() / 32767 for e in DataSet(recipe.out, "test", 10).excerpts]
    assert all(0.5 < peak < 1 for peak in peaks)


def test_a_file_that_is_no_midi_stops_the_render_by_name(recipe):
    (recipe.midi / "val-piece.mid").write_bytes(b"no MIDI")
    with pytest.raises(ValueError, match="val-piece.mid: not a MIDI file"):
        render(recipe, 1)
    assert not list(recipe.out.rglob("*.part"))


def test_an_excerpt_shorter_than_its_release_is_refused(recipe):
    with pytest.raises(ValueError, match="seconds is 1.5, but must be more than 1.5"):
        render(replace(recipe, seconds=1.5), 1)
