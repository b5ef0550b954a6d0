"""A corpus's manifest.csv: read by columns, refused by line."""

from __future__ import annotations

import pytest

from trainer.corpus import read_corpus


def test_pieces_are_sorted_into_their_splits(corpus):
    assert read_corpus(corpus) == {
        "train": [("train-piece.mid", 6.0)],
        "val": [("val-piece.mid", 6.0)],
        "test": [("test-piece.mid", 6.0)],
    }


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("train-piece.mid,Piece,6.0,dev", "line 5: split is 'dev', but must be train, val or test"),
        ("train-piece.mid,Piece,long,train", "line 5: seconds is 'long', but must be a number"),
        ("train-piece.mid,Piece,-1,train", "line 5: seconds is '-1', but must be a number"),
        ("train-piece.mid,Piece,inf,train", "line 5: seconds is 'inf', but must be a number"),
        ("absent.mid,Piece,6.0,train", "line 5: .*absent.mid is no file"),
        ("train-piece.mid", "line 5: split is None"),
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
