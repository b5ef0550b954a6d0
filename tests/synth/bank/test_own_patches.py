"""A user's own patches: beside the bank's, never in them, and nothing is lost."""

from __future__ import annotations

import datetime
import logging
import shutil
from pathlib import Path

import pytest

from common.documents import read_yaml
from common.patch import Patch
from synth.bank import own_patches
from synth.bank.bank import Bank, load_bank
from synth.bank.own_patches import OwnPatches
from synth.bank.patch_file import save_patch


@pytest.fixture
def folder(toy_bank: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_bank, tmp_path / "toy"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "home" / "patches" / "toy"


@pytest.fixture
def bank(folder: Path, own: Path) -> Bank:
    return load_bank(folder, own)


def save(bank: Bank, name: str, pan: float = 0.0, overwrite: bool = False) -> None:
    bank.save(name, embedding=(0.1, 0.2), knobs={}, gain_db=0.0, pan=pan, overwrite=overwrite)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_saved_is_there_again_and_the_bank_stays_as_it_is(bank, folder, own):
    before = content(folder)
    save(bank, "mine", 0.5)
    save(bank, "piano", -0.5, overwrite=True)
    again = load_bank(folder, own)
    assert again.patch("mine").pan == 0.5 and again.patch("piano").pan == -0.5
    assert again.patch("piano").program == 0 and again.names[0] == "piano"
    assert sorted(again.own_names) == ["mine", "piano"]
    assert content(folder) == before


def test_a_patch_of_the_bank_is_back_when_its_change_is_deleted(bank):
    old = bank.patch("piano")
    with pytest.raises(ValueError, match="exists"):
        save(bank, "piano")
    save(bank, "piano", -0.5, overwrite=True)
    bank.delete("piano")
    assert bank.patch("piano") == old
    with pytest.raises(ValueError, match="'piano' is not one of your own; they are: none"):
        bank.delete("piano")


def test_every_step_can_be_undone(bank, folder, own):
    save(bank, "a", 0.1)
    save(bank, "a", 0.2, overwrite=True)
    bank.rename("a", "b")
    bank.delete("b")
    assert sorted(bank.own_names) == []
    for names, pan in ((["b"], {"b": 0.2}), (["a", "b"], {"a": 0.2}), (["a"], {"a": 0.1})):
        assert bank.undo() == names
        assert {name: bank.patch(name).pan for name in bank.own_names} == pan
        assert load_bank(folder, own).patches == bank.patches
    assert bank.undo() == ["a"] and not bank.own_names
    with pytest.raises(ValueError, match="nothing to undo"):
        bank.undo()


def test_what_was_overwritten_or_deleted_is_kept_beside_it(bank, own):
    save(bank, "a", 0.1)
    first = (own / "a.yaml").read_bytes()
    save(bank, "a", 0.2, overwrite=True)
    assert (own / "a.yaml~").read_bytes() == first
    second = (own / "a.yaml").read_bytes()
    bank.delete("a")
    assert (own / "a.yaml~").read_bytes() == second and not (own / "a.yaml").exists()


@pytest.mark.parametrize("new", ["organ", "other", "Piano", "OTHER", "../x", "bank", ""])
def test_a_name_that_is_taken_or_bad_is_refused(bank, own, new):
    save(bank, "mine")
    save(bank, "other")
    before = content(own), bank.patches
    with pytest.raises(ValueError, match="patch "):
        bank.rename("mine", new)
    with pytest.raises(ValueError, match="patch "):
        save(bank, new)
    assert (content(own), bank.patches) == before


def test_a_name_may_change_its_case(bank):
    save(bank, "mine")
    bank.rename("mine", "Mine")
    assert list(bank.own_names) == ["Mine"]


def test_a_bad_file_is_left_out_and_named(folder, own, caplog):
    own.mkdir(parents=True)
    (own / "good.yaml").write_text("embedding: [0.1, 0.2]\n")
    (own / "friend.yaml").write_text("embedding: [0.1, 0.2]\nloudness: 3\n")
    (own / "long.yaml").write_text("embedding: [0.1, 0.2, 0.3]\n")
    with caplog.at_level(logging.WARNING):
        bank = load_bank(folder, own)
    assert list(bank.own_names) == ["good"]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "friend.yaml" in told[0] and "loudness" in told[0]
    assert "long.yaml" in told[1] and told[1].endswith("this patch is left out")


def test_a_file_that_is_put_there_appears_after_a_reload(bank, own):
    save(bank, "mine")
    (own / "friend.yaml").write_text("embedding: [0.1, 0.2]\n")
    (own / "spoilt.yaml").write_text("embedding: 1\n")
    problems = bank.reload()
    assert sorted(bank.own_names) == ["friend", "mine"]
    assert len(problems) == 1 and "spoilt.yaml" in problems[0]


def test_without_a_folder_of_ones_own_nothing_can_be_edited(folder):
    bank = load_bank(folder)
    for edit in (bank.undo, bank.reload, lambda: bank.delete("piano")):
        with pytest.raises(ValueError, match="--patches"):
            edit()


def test_a_copy_an_import_and_a_description_are_saved_and_undone(bank, folder, own):
    bank.duplicate("piano", "mine")
    bank.describe("mine", "Ann", ("warm", "keys"))
    bank.import_text("sent", bank.export_text("mine"))
    again = load_bank(folder, own)
    sent, piano = again.patch("sent"), again.patch("piano")
    assert (sent.author, sent.tags, sent.program) == ("Ann", ("warm", "keys"), None)
    assert (sent.embedding, sent.gain_db) == (piano.embedding, piano.gain_db)
    assert [bank.undo(), bank.undo(), bank.patch("mine").author] == [["sent"], ["mine"], ""]


def test_a_saved_patch_has_its_date_and_keeps_what_it_was_described_as(bank, folder, own):
    save(bank, "mine")
    bank.describe("mine", "Ann", ("warm",))
    save(bank, "mine", 0.5, overwrite=True)
    mine = load_bank(folder, own).patch("mine")
    assert (mine.author, mine.tags, mine.pan) == ("Ann", ("warm",), 0.5)
    assert datetime.date.fromisoformat(mine.date) <= datetime.date.today()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("embedding: [0, 0]\ntags: [" + "a, " * 17 + "]", "tags: expected"),
        ("embedding: [0, 0]\nauthor: 7", "author: expected text, got 7"),
        ("embedding: [0, 0]\ndate: soon", "date: expected"),
        ("embedding: [0]", "embedding: expected 2 numbers"),
        ("!!python/object/apply:os.getcwd []", "not valid YAML"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nembedding: [*b, *b]", "patch 'x':"),
    ],
)
def test_an_import_is_checked_like_any_patch(bank, own, text, reason):
    with pytest.raises(ValueError, match=f"patch 'x'.*{reason}|{reason}"):
        bank.import_text("x", text)
    assert "x" not in bank.names and not own.exists()


def test_what_is_the_banks_is_not_described_and_no_name_is_taken_twice(bank):
    with pytest.raises(ValueError, match="duplicate it to describe it"):
        bank.describe("piano", "Ann", ())
    with pytest.raises(ValueError, match="patch 'organ' exists"):
        bank.duplicate("piano", "organ")
    with pytest.raises(ValueError, match="there is 'organ'"):
        bank.duplicate("piano", "Organ")


def test_favourites_are_kept_and_follow_a_new_name(bank, folder, own):
    save(bank, "mine")
    for name in ("mine", "piano", "organ"):
        bank.favour(name, True)
    bank.favour("organ", False)
    bank.rename("mine", "ours")
    assert set(load_bank(folder, own).favourites) == {"ours", "piano"}
    with pytest.raises(ValueError, match="no patch 'tuba'"):
        bank.favour("tuba", True)


def test_a_file_that_is_put_in_is_noticed_once_it_is_whole(bank, own):
    save(bank, "mine")
    assert [bank.stale, bank.stale] == [False, False]
    (own / "new.yaml").write_bytes((own / "mine.yaml").read_bytes()[:9])
    assert not bank.stale  # it may not be whole yet
    (own / "new.yaml").write_bytes((own / "mine.yaml").read_bytes())
    assert [bank.stale, bank.stale] == [False, True]
    assert bank.reload() == [] and "new" in bank.names
    assert [bank.stale, bank.stale] == [False, False]
    (own / "new.yaml").unlink()
    assert [bank.stale, bank.stale] == [False, True]


@pytest.fixture
def many(bank, own, monkeypatch) -> OwnPatches:
    """More than a few patches, read with an index."""
    monkeypatch.setattr(own_patches, "MANY", 20)
    own.mkdir(exist_ok=True, parents=True)
    for number in range(50):
        patch = Patch(f"p{number}", (number / 100, 0.1), {}, date="2026-11-26")
        save_patch(own, patch, overwrite=True)
    return OwnPatches(own, bank.embedding_size, bank.knobs)


def again(patches: OwnPatches) -> OwnPatches:
    return OwnPatches(patches.folder, patches._embedding_size, patches._knobs)


def counted(monkeypatch) -> list[str]:
    """The names of files that are read from now on."""
    read: list[str] = []

    def counting(path: Path) -> object:
        read.append(path.name)
        return read_yaml(path)

    monkeypatch.setattr(own_patches, "read_yaml", counting)
    return read


def test_many_patches_are_read_from_an_index_while_it_is_right(many, own, monkeypatch):
    read = counted(monkeypatch)
    assert again(many).patches == many.patches and not read
    save_patch(own, Patch("p7", (0.5, 0.5), {}), overwrite=True)
    (own / "p8.yaml").unlink()
    (own / "p9.yaml").write_text("embedding: [1]\n")
    changed = again(many)
    assert sorted(read) == ["p7.yaml", "p9.yaml"]
    assert changed.patches["p7"].embedding == (0.5, 0.5) and "p8" not in changed.patches
    assert len(changed.patches) == 48 and "p9.yaml: embedding" in changed.problems[0]


@pytest.mark.parametrize(
    "index", ["", "[1]", '{"p7.yaml": 3}', '{"p7.yaml": [1, 2, 3, 4]}', "[" * 9999]
)
def test_a_bad_index_does_no_harm(many, own, index):
    (own / own_patches.INDEX).write_text(index)
    assert again(many).patches == many.patches


def test_what_an_index_says_is_checked(many, own):
    text = (own / own_patches.INDEX).read_text()
    (own / own_patches.INDEX).write_text(text.replace("[0.07, 0.1]", "[700.0, 0.1]"))
    assert "p7.yaml: embedding" in again(many).problems[0]


def test_a_save_reads_no_other_file_again(many, monkeypatch):
    read = counted(monkeypatch)
    many.save(Patch("mine", (0.0, 0.0), {}), overwrite=False)
    assert read == ["mine.yaml"] and len(many.patches) == 51
    many.undo()
    assert len(many.patches) == 50 and not many.stale


def test_among_many_one_that_is_changed_in_place_is_noticed_in_a_while(many, own):
    with (own / "p7.yaml").open("a") as file:
        file.write("author: me\n")
    assert any(many.stale for _ in range(3 * own_patches.EVERY))
    (own / "p8.yaml").unlink()
    assert [many.stale, many.stale] == [False, True]


def test_an_edition_stays_until_something_changes(bank):
    before = bank.edition
    assert bank.edition is before
    bank.duplicate("piano", "copy")
    after = bank.edition
    assert after is not before and bank.edition is after
    bank.favour("copy", True)
    assert bank.edition is not after
