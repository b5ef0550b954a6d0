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
from trainer.data.plan import RenderPlan
from trainer.data.render import render
from trainer.data.score import excerpt, score_events


@pytest.fixture
def plan(corpus: Path, soundfont: Path, tmp_path: Path) -> RenderPlan:
    """Two programs, each with four excerpts to train on, one held out and one test piece."""
    return RenderPlan(
        midi=corpus,
        soundfont=soundfont,
        out=tmp_path / "data",
        programs=PROGRAMS,
        minutes=0.2,
        val_minutes=0.05,
        etudes=0.5,
        seconds=3.0,
        key_seconds=0.0,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_plan_becomes_a_data_set_that_training_can_load(plan):
    assert render(plan, 1) == plan.out / "manifest.yaml"
    made = contents(plan.out)
    assert len(made) == 1 + 2 * (4 + 1 + 1) and not [n for n in made if n.endswith(".part")]
    manifest = yaml.safe_load((plan.out / "manifest.yaml").read_text())
    assert manifest["programs"] == PROGRAMS and manifest["gains_db"].keys() == PROGRAMS.keys()
    for split, count in {"train": 8, "val": 2, "test": 2}.items():
        excerpts = DataSet(plan.out, split, frames=10).excerpts
        assert len(excerpts) == count
        for found in excerpts:
            seconds = 3.0 if split != "test" else 7.5
            assert len(found.audio) == seconds * 16_000
            assert len(found.roll) == -(-len(found.audio) // 128)
            assert np.abs(found.audio).max() > 1_000 and found.roll.max() > 20


def test_each_key_alone_is_held_by_every_program(plan):
    plan = replace(plan, minutes=0, val_minutes=0, test_pieces=0)
    plan = replace(plan, keys=(60, 61), key_seconds=2.0)
    render(plan, 1)
    made = sorted(path.stem for path in (plan.out / "keys").iterdir())
    assert made == [f"0{key}-{patch}" for key in (60, 61) for patch in sorted(PROGRAMS)]
    for path in (plan.out / "keys").iterdir():
        found = load_excerpt(path, list(PROGRAMS))
        onset = np.argwhere(found.roll[:, 88:])
        assert onset.tolist() == [[25, int(path.stem[:3]) - 21]]
        assert (found.roll[:, :88] > 0).sum() == 250 and np.abs(found.audio).max() > 1_000
    # Every third is let go soon, too.
    short = sorted((plan.out / "let-go").iterdir())
    assert [path.stem for path in short] == [f"060-{patch}" for patch in sorted(PROGRAMS)]
    for path in short:
        assert (load_excerpt(path, list(PROGRAMS)).roll[:, :88] > 0).sum() == 50


def test_the_roll_is_what_the_audio_plays(plan):
    render(plan, 1)
    found = load_excerpt(plan.out / "test" / "test-piece-soft-wave.npz", list(PROGRAMS))
    events = score_events(read_midi_file(plan.midi / "test-piece.mid"), 16_000)
    roll = PianoRoll(128).frames(excerpt(events, 0, 96_000), 0, len(found.roll))
    assert np.array_equal(found.roll, np.rint(roll * 127))
    first = int(roll[:, 88:].any(1).argmax()) * 128
    assert np.abs(found.audio[: first - 128]).max() < 30
    assert np.abs(found.audio[first : first + 1_280]).max() > 1_000


def test_an_interrupted_render_goes_on_to_the_same_bytes(plan):
    render(plan, 1)
    whole = contents(plan.out)
    lost = [name for name in sorted(whole) if name.endswith(".npz")][::3]
    for name in lost:
        (plan.out / name).unlink()
    (plan.out / lost[0]).with_name(".lost.npz.part").write_bytes(b"half a file")
    kept = (plan.out / sorted(whole.keys() - set(lost))[1]).stat().st_mtime_ns
    render(plan, 2)
    assert contents(plan.out) == whole
    assert (plan.out / sorted(whole.keys() - set(lost))[1]).stat().st_mtime_ns == kept


def test_the_seed_decides_what_is_rendered(plan, tmp_path):
    again = replace(plan, out=tmp_path / "again")
    other = replace(plan, out=tmp_path / "other", seed=1)
    for each in (plan, again, other):
        render(each, 1)
    assert contents(plan.out) == contents(again.out)
    name = "train/0000-soft-wave.npz"
    assert contents(plan.out)[name] != contents(other.out)[name]


def set_field(field: str, value: object) -> Callable[[RenderPlan], RenderPlan]:
    return lambda plan: replace(plan, **{field: value})


def new_corpus(plan: RenderPlan) -> RenderPlan:
    with (plan.midi / "manifest.csv").open("a") as file:
        file.write("train-piece.mid,Piece,5.0,train\n")
    return plan


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (set_field("seed", 2), "seed"),
        (set_field("etudes", 0.1), "etude_share"),
        (set_field("key_seconds", 9.0), "key_s"),
        (set_field("programs", {"soft-wave": 0}), "programs"),
        (new_corpus, "corpus_sha256"),
    ],
)
def test_the_folder_of_another_plan_is_refused_and_left_alone(plan, change, field):
    render(plan, 1)
    before = contents(plan.out)
    with pytest.raises(ValueError, match=f"{field}: expected .* choose another --out"):
        render(change(plan), 1)
    assert contents(plan.out) == before


def test_a_data_set_from_before_corpora_were_told_apart_is_gone_on_with(plan):
    manifest = render(plan, 1)
    stated = yaml.safe_load(manifest.read_text())
    del stated["corpus_sha256"]
    manifest.write_text(yaml.safe_dump(stated, sort_keys=False))
    assert render(plan, 1) == manifest


def test_pieces_shorter_than_the_calibration_still_set_the_level(plan):
    render(plan, 1)
    peaks = [np.abs(e.audio).max() / 32767 for e in DataSet(plan.out, "test", 10).excerpts]
    assert all(0.5 < peak < 1 for peak in peaks)


def test_a_file_that_is_no_midi_stops_the_render_by_name(plan):
    (plan.midi / "val-piece.mid").write_bytes(b"no MIDI")
    with pytest.raises(ValueError, match="val-piece.mid: not a MIDI file"):
        render(plan, 1)
    assert not list(plan.out.rglob("*.part"))


def test_an_excerpt_shorter_than_its_release_is_refused(plan):
    with pytest.raises(ValueError, match="expected more than 1.5, the release of soft-wave, got"):
        render(replace(plan, seconds=1.5), 1)
