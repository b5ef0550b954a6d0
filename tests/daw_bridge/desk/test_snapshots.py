"""Snapshots of the desk: saved, recalled, deleted; bad ones refused; the desk comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.patch import Patch
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.snapshots import Keeper
from daw_bridge.events import Level


@pytest.fixture
def desk(book, posted, tmp_path: Path) -> Desk:
    return Desk(book, posted.append, now=lambda: 777, snapshots=tmp_path / "desks")


def _busy(desk: Desk) -> None:
    """Turn something of everything."""
    desk.patch(2, "organ")
    desk.morph(3, "organ", "harp", 0.25)
    desk.timbre(4, (1.0, -2.0))
    desk.knob(4, "breath", 0.75)
    desk.pan(5, -1)
    desk.mute(6, True)
    desk.solo(2, True)
    desk.book.add(Patch("flute", (0.5, 0.5), {}, deep="F"))
    desk.patch(8, "flute")
    desk.turn(7, 0, lambda s: replace(s, volume=64, expression=20, bend_range=12.0))


def test_a_snapshot_brings_back_the_whole_desk(desk, posted, book, tmp_path):
    _busy(desk)
    before = desk.parts()
    desk.snapshots.save("evening set", before, overwrite=False)
    for part in before:
        desk.patch(part, "harp")
        desk.mute(part, False)
        desk.solo(part, False)
    assert desk.parts() != before
    desk.recall(desk.snapshots.read("evening set"))
    assert desk.parts() == before
    heard = {e.part: e.gain_db for e in posted if isinstance(e, Level)}
    assert [part for part, gain_db in heard.items() if gain_db > -100] == [2]
    # And after a restart.
    again = Desk(book, posted.append, now=lambda: 0, snapshots=tmp_path / "desks")
    assert again.snapshots.names == ("evening set",)
    again.recall(again.snapshots.read("evening set"))
    assert again.parts() == before


def test_a_taken_name_is_kept_unless_asked_and_then_backed_up(desk, tmp_path):
    desk.snapshots.save("a", desk.parts(), overwrite=False)
    first = (tmp_path / "desks" / "a.yaml").read_text()
    desk.pan(1, 1)
    with pytest.raises(ValueError, match="snapshot 'a' exists"):
        desk.snapshots.save("a", desk.parts(), overwrite=False)
    desk.snapshots.save("a", desk.parts(), overwrite=True)
    assert (tmp_path / "desks" / "a.yaml~").read_text() == first
    desk.snapshots.delete("a")
    assert desk.snapshots.names == () and not (tmp_path / "desks" / "a.yaml").exists()
    with pytest.raises(ValueError, match="no snapshot 'a'; there are: none"):
        desk.snapshots.read("a")


def test_saves_and_deletions_are_undone_one_by_one(desk, tmp_path):
    file = tmp_path / "desks" / "a.yaml"
    desk.snapshots.save("a", desk.parts(), overwrite=False)
    first = file.read_text()
    desk.pan(1, 1)
    desk.snapshots.save("a", desk.parts(), overwrite=True)
    second = file.read_text()
    desk.snapshots.delete("a")
    assert desk.snapshots.undo() == "a" and desk.snapshots.names == ("a",)
    assert file.read_text() == second != first
    assert desk.snapshots.undo() == "a" and file.read_text() == first
    assert desk.snapshots.undo() == "a" and desk.snapshots.names == () and not file.exists()
    with pytest.raises(ValueError, match="nothing to undo"):
        desk.snapshots.undo()


@pytest.mark.parametrize("name", ["../a", ".last", "", "a/b", "con"])
def test_no_name_is_a_path(desk, name):
    with pytest.raises(ValueError, match="patch name"):
        desk.snapshots.save(name, desk.parts(), overwrite=False)
    with pytest.raises(ValueError, match="no snapshot"):
        desk.snapshots.delete(name)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            "parts: {17: {patch: a, towards: a, embedding: [0, 0]}}",
            "parts: expected at most 16, got 17",
        ),
        ("parts: {1: {patch: a, towards: a, embedding: [0, 0], pan: 2}}", "pan: expected"),
        ("parts: {1: {patch: a, towards: a, embedding: [0, 0], pam: 0}}", "unknown key 'pam'"),
        ("parts: {1: {patch: a, towards: a, embedding: [0]}}", "expected 2 numbers, got 1"),
        ("[", "not valid YAML"),
    ],
)
def test_what_is_no_snapshot_changes_nothing(desk, posted, tmp_path, content, reason):
    (tmp_path / "desks").mkdir()
    (tmp_path / "desks" / "bad.yaml").write_text(content)
    before = desk.parts()
    with pytest.raises(ValueError, match=reason):
        desk.recall(desk.snapshots.read("bad"))
    assert desk.parts() == before and not posted


def test_a_patch_that_is_gone_loses_its_name_and_keeps_its_sound(desk, book):
    desk.save(1, "mine")
    desk.timbre(1, (3.0, 3.0))
    desk.snapshots.save("a", desk.parts(), overwrite=False)
    desk.delete("mine")
    desk.recall(desk.snapshots.read("a"))
    assert desk.settings(1).patch == "piano" and desk.settings(1).embedding == (3.0, 3.0)


def test_the_desk_is_kept_as_it_stood(desk):
    assert desk.snapshots.last() == {}
    keeper = Keeper(desk.snapshots, desk.parts)
    _busy(desk)
    before = desk.parts()
    keeper.close()
    desk.patch(4, "harp")
    desk.recall(desk.snapshots.last())
    assert desk.parts() == before
    assert desk.snapshots.names == ()  # it is no snapshot


def test_a_desk_that_cannot_be_read_is_kept_beside_the_next(desk, tmp_path):
    folder = tmp_path / "desks"
    folder.mkdir()
    (folder / ".last.yaml").write_text("parts: none")
    with pytest.raises(ValueError, match="parts"):
        desk.snapshots.last()
    desk.snapshots.back_up_last()
    desk.snapshots.save_last(desk.parts())
    assert (folder / ".last.yaml~").read_text() == "parts: none"
    desk.recall(desk.snapshots.last())


def test_nowhere_is_nothing_kept(book, posted):
    desk = Desk(book, posted.append, now=lambda: 0)
    assert desk.snapshots.names == () and desk.snapshots.last() == {}
    with pytest.raises(ValueError, match="--desk none"):
        desk.snapshots.save("a", desk.parts(), overwrite=False)
