"""A corpus: its manifest.csv read by columns and refused by line, or its files found and split."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import mido
import pytest

from daw_bridge.events import SUSTAIN, NoteOff, NoteOn, Pedal
from daw_bridge.midi.file import read_midi_file
from daw_bridge.midi.folder import find_files
from daw_bridge.midi.sysex import DRUMS
from trainer.data.corpus import (
    Piece,
    corpus_digest,
    measure,
    pieces_csv,
    read_corpus,
    read_pieces,
    split_pieces,
    without_copies,
)
from trainer.data.score import PART, score_events


def test_pieces_are_sorted_into_their_splits(corpus):
    assert read_corpus(corpus) == {
        "train": [("train-piece.mid", 6.0)],
        "val": [("val-piece.mid", 6.0)],
        "test": [("test-piece.mid", 6.0)],
    }


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("train-piece.mid,Piece,6.0,dev", "line 5: split: expected train, val or test, got 'dev'"),
        (
            "train-piece.mid,Piece,long,train",
            "line 5: seconds: expected a number above 0, got 'long'",
        ),
        ("train-piece.mid,Piece,-1,train", "line 5: seconds: expected a number above 0, got '-1'"),
        (
            "train-piece.mid,Piece,inf,train",
            "line 5: seconds: expected a number above 0, got 'inf'",
        ),
        ("absent.mid,Piece,6.0,train", "line 5: .*absent.mid: no such file"),
        ("train-piece.mid", "line 5: split: expected train, val or test, got None"),
    ],
)
def test_a_bad_row_is_named(corpus, row, complaint):
    with (corpus / "manifest.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(ValueError, match=f"manifest.csv: {complaint}"):
        read_corpus(corpus)


@pytest.mark.parametrize("header", ["path,seconds", "", "file,seconds,split"])
def test_a_missing_column_is_named(corpus, header):
    (corpus / "manifest.csv").write_text(header + "\n")
    with pytest.raises(ValueError, match="manifest.csv: column (path|split) is missing"):
        read_corpus(corpus)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(ValueError, match="manifest.csv: no such file"):
        read_corpus(tmp_path)


def pieces(count: int) -> list[Piece]:
    return [Piece(f"{number}.mid", f"sha of {number}", 1.5) for number in range(count)]


def test_files_are_found_at_any_depth_whatever_the_case_of_their_names(tmp_path):
    for name in ("b.mid", "deep/er/a.MIDI", "a.Mid", "c.rmi", "d.KAR", "notes.txt", "deep/mid"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.mid").mkdir()
    assert find_files(tmp_path) == ["a.Mid", "b.mid", "c.rmi", "d.KAR", "deep/er/a.MIDI"]


def test_a_folder_without_music_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"no MIDI files \(.mid, .midi, .kar, .rmi\) in it or below"
    ):
        find_files(tmp_path)
    with pytest.raises(ValueError, match="absent: no such folder"):
        find_files(tmp_path / "absent")


def test_a_piece_lasts_until_its_last_note_ends(corpus):
    file = mido.MidiFile(corpus / "train-piece.mid")
    file.tracks[0].append(mido.Message("control_change", control=64, value=0, time=60_000))
    file.save(corpus / "long-tail.mid")
    measured = measure(corpus, "long-tail.mid", None)
    assert (measured.seconds, measured.problem) == (6.0, "")


def test_a_file_that_claims_days_is_left_out(corpus):
    file = mido.MidiFile(corpus / "train-piece.mid")
    file.tracks[0].append(mido.Message("note_on", note=60, velocity=9, time=100_000_000))
    file.save(corpus / "days.mid")
    assert "claims to last 28 h" in measure(corpus, "days.mid", None).problem


def test_only_what_has_changed_is_read_again(corpus):
    first = measure(corpus, "train-piece.mid", None)
    claimed = Piece(first.path, first.sha256, 123.0)
    assert measure(corpus, "train-piece.mid", claimed) == claimed
    assert measure(corpus, "train-piece.mid", Piece(first.path, "other", 123.0)) == first
    assert measure(corpus, "train-piece.mid", Piece(first.path, first.sha256, 0.0, "bad")) == first


def test_a_copy_is_left_out_of_every_split(corpus):
    shutil.copy(corpus / "train-piece.mid", corpus / "zz.mid")
    found = without_copies(corpus, [measure(corpus, p, None) for p in find_files(corpus)])
    assert [piece.path for piece in found if piece.problem] == ["zz.mid"]
    assert found[-1].problem.endswith("zz.mid: the same file as train-piece.mid")


def test_fractions_are_kept_to_and_no_piece_is_lost():
    splits = split_pieces(pieces(2_000), val=0.1, test=0.2)
    assert {path for split in splits.values() for path, _ in split} == {
        piece.path for piece in pieces(2_000)
    }
    assert abs(len(splits["val"]) / 2_000 - 0.1) < 0.03
    assert abs(len(splits["test"]) / 2_000 - 0.2) < 0.03


@pytest.mark.parametrize(
    ("count", "val", "test", "lengths"),
    [
        (1, 0.05, 0.05, (1, 0, 0)),
        (2, 0.05, 0.05, (1, 1, 0)),
        (3, 0.05, 0.05, (1, 1, 1)),
        (3, 0.0, 0.0, (3, 0, 0)),
        (3, 0.5, 0.5, (1, 1, 1)),
        (0, 0.5, 0.5, (0, 0, 0)),
    ],
)
def test_few_pieces_go_round_as_far_as_they_do(count, val, test, lengths):
    splits = split_pieces(pieces(count), val, test)
    assert tuple(len(splits[name]) for name in ("train", "val", "test")) == lengths


def test_the_table_of_pieces_is_read_back(tmp_path):
    odd = os.fsdecode(b"odd, \xff.mid")
    found = [*pieces(3), Piece(odd, "", 0.0, f'{odd}: "broken", it is')]
    splits = split_pieces(found, 0.3, 0.3)
    (tmp_path / "pieces.csv").write_bytes(pieces_csv(found, splits))
    assert list(read_pieces(tmp_path / "pieces.csv").values()) == found
    assert {len(split) for split in splits.values()} == {1}


@pytest.mark.parametrize("text", [b"", b"path\nx\n", b"path,seconds,sha256,problem\nx,long,,\n"])
def test_a_damaged_table_is_as_none(tmp_path, text):
    assert read_pieces(tmp_path / "pieces.csv") == {}
    (tmp_path / "pieces.csv").write_bytes(text)
    assert read_pieces(tmp_path / "pieces.csv") == {}


def test_another_corpus_has_another_digest(corpus):
    assert corpus_digest(corpus, None) != corpus_digest(corpus, pieces(2))
    assert corpus_digest(corpus, pieces(2)) != corpus_digest(corpus, pieces(3))
    broken = Piece("broken.mid", "", 0.0, "broken")
    assert corpus_digest(corpus, [*pieces(2), broken]) == corpus_digest(corpus, pieces(2))


def test_names_that_no_text_can_hold_are_found(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mid")).touch()
    (name,) = find_files(tmp_path)
    assert "holds no" in (problem := measure(tmp_path, name, None).problem) or "not a" in problem


def test_an_odd_file_keeps_every_note_and_every_pedal(tmp_path):
    """The pedal in a track without notes, one key in two tracks, and a change of tempo."""
    on, off, cc = (
        partial(mido.Message, kind) for kind in ("note_on", "note_off", "control_change")
    )
    tracks = [
        [
            mido.MetaMessage("set_tempo", tempo=500_000),
            mido.MetaMessage("set_tempo", tempo=1_000_000, time=480),
        ],
        [on(note=60, velocity=90), off(note=60, time=960)],
        [
            on(note=60, velocity=50, time=240, channel=1),
            on(note=60, velocity=0, time=240, channel=1),
        ],
        [cc(control=64, value=64, time=120), cc(control=64, value=63, time=1_080)],
        [on(note=36, velocity=99, channel=DRUMS - 1), off(note=36, time=100, channel=DRUMS - 1)],
    ]
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    file.save(tmp_path / "odd.mid")
    assert measure(tmp_path, "odd.mid", None).seconds == 1.5
    assert score_events(read_midi_file(tmp_path / "odd.mid"), 16_000) == [
        NoteOn(0, PART, 60, 90),
        Pedal(2_000, PART, SUSTAIN, True),
        NoteOn(4_000, PART, 60, 50),
        NoteOff(8_000, PART, 60),
        NoteOff(24_000, PART, 60),
        Pedal(32_000, PART, SUSTAIN, False),
    ]
