"""Patches: strict when read, whole when written, and never a path."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from common.patch import GAIN_DB, Fitted, Patch, check_name
from synth.bank.patch_file import as_saved, load_patch, save_patch

KNOBS = ("brightness", "breath")
PATCH = Patch(
    "warm", (0.25, -1.5), {"brightness": 0.75}, gain_db=-3.5, pan=0.25, program=7, keys=(40, 96)
)

FITTED = Fitted("cello.wav", "0" * 64, "cello.mid", -3.5, 2.75, "strings", 3.5, 1.25, "melstream 1")


def write(folder: Path, text: str, name: str = "warm") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(
    "patch",
    [PATCH, Patch("a", (0.0, 1e-6), {}), Patch("b", (0.0, 1.0), {}, fitted=FITTED)],
    ids=lambda p: p.name,
)
def test_what_is_saved_comes_back(tmp_path, patch):
    save_patch(tmp_path, patch, overwrite=False)
    assert load_patch(tmp_path / f"{patch.name}.yaml", 2, KNOBS) == patch
    assert names(tmp_path) == [f"{patch.name}.yaml"]


def test_a_file_that_a_musician_wrote(tmp_path):
    path = write(tmp_path, "embedding: [1, -0.5]\n# my notes\ngain_db: -6\n")
    assert load_patch(path, 2, KNOBS) == Patch("warm", (1.0, -0.5), {}, gain_db=-6.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a mapping, got None"),
        ("hello", "expected a mapping, got 'hello'"),
        ("- 1", "expected a mapping, got [1]"),
        ("gain_db: 0", "embedding is missing"),
        ("embedding: [0, 0]\nvolume: 3", "unknown key 'volume'; allowed are embedding, knobs,"),
        ("embedding: [0, 0]\n7: 3", "unknown key 7; allowed are embedding"),
        ("embedding: [0]", "embedding: expected 2 numbers, got [0.0]"),
        ("embedding: [0, 0, 0]", "embedding: expected 2 numbers, got [0.0, 0.0, 0.0]"),
        ("embedding: 3", "embedding: expected a list, got 3"),
        ("embedding: [0, x]", "embedding: 1: expected a number, got 'x'"),
        ("embedding: [0, .nan]", "embedding: 1: expected at most 100, got nan"),
        ("embedding: [.inf, 0]", "embedding: 0: expected at most 100, got inf"),
        ("embedding: [true, 0]", "embedding: 0: expected a number, got True"),
        ("embedding: [101, 0]", "embedding: 0: expected at most 100, got 101"),
        ("embedding: [-101, 0]", "embedding: 0: expected at least -100, got -101"),
        (f"embedding: [{'9' * 400}, 0]", "embedding: 0: expected"),
        ("embedding: [0, 0]\nknobs: 3", "knobs: expected a mapping, got 3"),
        ("embedding: [0, 0]\nknobs:", "knobs: expected a mapping, got None"),
        ("embedding: [0, 0]\nknobs: {bite: 1}", "knobs: unknown key 'bite'; allowed are bright"),
        ("embedding: [0, 0]\nknobs: {breath: 2}", "knobs: breath: expected at most 1, got 2"),
        ("embedding: [0, 0]\ngain_db: 25", "gain_db: expected at most 24, got 25"),
        ("embedding: [0, 0]\nkeys: [20, 90]", "keys: 0: expected at least 21, got 20"),
        (
            "embedding: [0, 0]\nkeys: [90, 30]",
            "keys: expected the lowest before",
        ),
        ("embedding: [0, 0]\nkeys: [30]", "keys: 1"),
        ("embedding: [0, 0]\npan: left", "pan: expected a number, got 'left'"),
        ("embedding: [0, 0]\nprogram: 128", "program: expected at most 127, got 128"),
        ("embedding: [0, 0]\nprogram: 1.0", "program: expected a whole number, got 1.0"),
        ("embedding: [0, 0", "expected ',' or ']'"),
        ("embedding: [0, 0]\npan: a: b", "not valid YAML (line 2: mapping values are not"),
        ("embedding: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("pan: 2020-13-40", "not valid YAML (month must be in 1..12)"),
        ("pan: !!timestamp x", "not valid YAML ("),
        ("pan: !!bool x", "not valid YAML ("),
        ("pan: !!int", "not valid YAML ("),
        ("[" * 3_000, "not valid YAML ("),
        ("\x00", "not valid YAML ("),
    ],
)
def test_a_bad_file_is_told_in_one_line(tmp_path, text, complaint):
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as told:
        load_patch(path, 2, KNOBS)
    message = str(told.value)
    assert message.startswith(str(path))
    assert complaint in message
    assert "\n" not in message and len(message) < len(str(path)) + 200


def test_a_value_that_unfolds_without_end_is_told_briefly(tmp_path):
    """Aliases of aliases: half a million words in a few lines; and a list within itself."""
    levels = ["&a0 [lol]", *(f"&a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 7))]
    for pan in (f"[{', '.join(levels)}]", "&a [*a]"):
        path = write(tmp_path, f"embedding: [0, 0]\npan: {pan}")
        with pytest.raises(ValueError, match=r"pan: expected a number, got \[\[") as told:
            load_patch(path, 2, KNOBS)
        assert len(str(told.value)) < 2_000


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.yaml: no such file"):
        load_patch(tmp_path / "gone.yaml", 2, KNOBS)
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ValueError, match=r"folder\.yaml: expected a file"):
        load_patch(tmp_path / "folder.yaml", 2, KNOBS)
    (tmp_path / "latin.yaml").write_bytes(b"pan: \xe9")
    with pytest.raises(ValueError, match=r"latin\.yaml: cannot be read \(.*utf-8"):
        load_patch(tmp_path / "latin.yaml", 2, KNOBS)


GOOD_NAMES = [
    "a",
    "0",
    "Grand Piano 2",
    "x" * 64,
    "my_patch-3",
    "bank2",
    "console",
    "com",
    "com10pïano",
    "ピアノ",
    "पियानो",
    "Клавир 2",
]
BAD_NAMES = [
    "",
    " ",
    " a",
    "a ",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "/etc/passwd",
    "C:x",
    ".hidden",
    "-flag",
    "a.yaml",
    "a\n",
    "a\0",
    "pi\u0308ano",
    "piano\u200b",
    "piano🎹",
    "ピアノ" * 22,
    "\ud800",
    "x" * 65,
    "bank",
    "Bank",
    "CON",
    "con",
    "nul",
    "AUX",
    "prn",
    "com1",
    "LPT9",
    None,
    7,
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_that_any_system_can_keep(tmp_path, name):
    check_name(name)
    save_patch(tmp_path, Patch(name, (0.0, 0.0), {}), overwrite=False)
    assert names(tmp_path) == [f"{name}.yaml"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_other_names_are_refused_and_nothing_is_written(tmp_path, name):
    folder = tmp_path / "bank"
    folder.mkdir()
    with pytest.raises(ValueError, match="patch name .*: must be 1 to 64 letters, digits") as told:
        save_patch(folder, Patch(name, (0.0, 0.0), {}), overwrite=True)
    assert "\n" not in str(told.value)
    assert names(tmp_path) == ["bank"] and names(folder) == []


def test_a_file_of_such_a_name_is_refused_too(tmp_path):
    path = write(tmp_path, "embedding: [0, 0]", name="a.b")
    with pytest.raises(ValueError, match=r"a\.b\.yaml: patch name 'a\.b': must be"):
        load_patch(path, 2, KNOBS)


def test_saving_over_a_patch_must_be_asked_for(tmp_path):
    save_patch(tmp_path, PATCH, overwrite=False)
    other = Patch("warm", (9.0, 9.0), {})
    with pytest.raises(ValueError, match="patch 'warm' exists; save under another name"):
        save_patch(tmp_path, other, overwrite=False)
    assert load_patch(tmp_path / "warm.yaml", 2, KNOBS) == PATCH
    save_patch(tmp_path, other, overwrite=True)
    assert load_patch(tmp_path / "warm.yaml", 2, KNOBS) == other
    assert names(tmp_path) == ["warm.yaml"]


def test_a_disk_without_links_keeps_patches_too(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    save_patch(tmp_path, PATCH, overwrite=False)
    with pytest.raises(ValueError, match="patch 'warm' exists; save under another name"):
        save_patch(tmp_path, Patch("warm", (9.0, 9.0), {}), overwrite=False)
    assert load_patch(tmp_path / "warm.yaml", 2, KNOBS) == PATCH
    assert names(tmp_path) == ["warm.yaml"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_failing_write_leaves_the_old_file_whole(tmp_path, overwrite):
    """The process may write no file longer than 20 bytes: a real disk-full in the middle."""
    resource = pytest.importorskip("resource")
    save_patch(tmp_path, PATCH, overwrite=False)
    name = "warm" if overwrite else "other"
    patch = Patch(name, (50.0, 60.0), {"breath": 1.0})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(ValueError) as told:
            save_patch(tmp_path, patch, overwrite)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(told.value) == f"{tmp_path / name}.yaml: cannot be written: File too large"
    assert load_patch(tmp_path / "warm.yaml", 2, KNOBS) == PATCH
    assert names(tmp_path) == ["warm.yaml"]
    save_patch(tmp_path, patch, overwrite)
    assert load_patch(tmp_path / f"{name}.yaml", 2, KNOBS) == patch


def test_a_folder_that_is_gone_or_in_the_way(tmp_path):
    with pytest.raises(ValueError, match=r"warm\.yaml: cannot be written: No such file"):
        save_patch(tmp_path / "gone", PATCH, overwrite=True)
    (tmp_path / "warm.yaml").mkdir()
    (tmp_path / "warm.yaml" / "kept").touch()
    with pytest.raises(ValueError, match=r"warm\.yaml: cannot be written: Is a directory"):
        save_patch(tmp_path, PATCH, overwrite=True)
    with pytest.raises(ValueError, match="patch 'warm' exists"):
        save_patch(tmp_path, PATCH, overwrite=False)
    assert names(tmp_path) == ["warm.yaml"] and names(tmp_path / "warm.yaml") == ["kept"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    """One thread saves over and over while this one reads: always one or the other, whole."""
    takes = [Patch("warm", (float(i), float(i)), dict.fromkeys(KNOBS, i / 2)) for i in (1, 2)]
    save_patch(tmp_path, takes[0], overwrite=False)
    done, saved = threading.Event(), []

    def save_often() -> None:
        while not done.is_set():
            save_patch(tmp_path, takes[len(saved) % 2], overwrite=True)
            saved.append(1)

    writer = threading.Thread(target=save_often)
    writer.start()
    read: list[Patch] = []
    try:
        while len(read) < 60 or len(saved) < 60:
            assert writer.is_alive()
            read.append(load_patch(tmp_path / "warm.yaml", 2, KNOBS))
    finally:
        done.set()
        writer.join()
    assert all(patch in takes for patch in read)


def test_as_saved_is_what_the_file_gives_back(tmp_path):
    fine = Patch("warm", (1 / 3, -2 / 3), {"breath": 2 / 3}, gain_db=-10 / 3, pan=1 / 3)
    kept = as_saved(fine, 2, KNOBS)
    save_patch(tmp_path, fine, overwrite=False)
    assert load_patch(tmp_path / "warm.yaml", 2, KNOBS) == kept != fine
    assert kept.embedding == pytest.approx(fine.embedding, abs=1e-6)


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        (Patch("p", (0.0,), {}), r"patch 'p': embedding: expected 2 numbers, got \[0.0\]"),
        (Patch("p", (0.0, float("nan")), {}), "patch 'p': embedding: 1: expected at most 100, got"),
        (Patch("p", (0.0, 0.0), {"bite": 0.5}), "patch 'p': knobs: unknown key 'bite'"),
        (Patch("p", (0.0, 0.0), {"breath": -0.1}), "patch 'p': knobs: breath: expected at least 0"),
        (
            Patch("p", (0.0, 0.0), {}, gain_db=GAIN_DB[1] + 1),
            "patch 'p': gain_db: expected at",
        ),
        (Patch("p", (0.0, 0.0), {}, pan=-2.0), "patch 'p': pan: expected at least -1, got -2"),
    ],
)
def test_a_patch_that_could_not_be_read_again_is_refused(patch, complaint):
    with pytest.raises(ValueError, match=complaint):
        as_saved(patch, 2, KNOBS)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("sha256", "abc", "fitted: sha256: expected"),
        ("own_db", "near", "fitted: own_db: expected a number, got 'near'"),
        ("colour", "red", "fitted: unknown key 'colour'; allowed are recording, sha256, score"),
        ("score", None, "fitted: score is missing"),
    ],
)
def test_what_a_patch_was_fitted_to_is_checked(tmp_path, field, value, complaint):
    told = {k: v for k, v in {**asdict(FITTED), field: value}.items() if v is not None}
    path = write(tmp_path, yaml.safe_dump({"embedding": [0.0, 1.0], "fitted": told}))
    with pytest.raises(ValueError, match=complaint):
        load_patch(path, 2, KNOBS)
