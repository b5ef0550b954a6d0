"""A pack for a machine without network: what is in it is found, what is not is named."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from trainer.pack import fits, unpack

HERE = f"cp{sys.version_info.major}{sys.version_info.minor}"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A SoundFont, a wheel and two pieces, none of them real."""
    folder = tmp_path / "pack"
    (folder / "songs").mkdir(parents=True)
    (folder / "font.SF3").write_bytes(b"sound")
    (folder / "songs" / "one.mid").write_bytes(b"music")
    (folder / "songs" / "two.mid").write_bytes(b"music")
    write_wheel(folder / "flute-1.0-py3-none-any.whl", "flute/__init__.py")
    return folder


def write_wheel(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "SOUND = 'toot'\n")


def test_loose_files_are_used_where_they_lie(pack, tmp_path):
    found = unpack(pack, tmp_path / "work")
    assert found.midi == pack and found.soundfont == pack / "font.SF3" and found.refused == ()
    assert (found.site / "flute" / "__init__.py").read_text() == "SOUND = 'toot'\n"


def test_the_folder_of_a_manifest_is_the_corpus(pack, tmp_path):
    (pack / "songs" / "manifest.csv").write_text("path,seconds,split\n")
    assert unpack(pack, tmp_path / "work").midi == pack / "songs"


def test_an_archive_is_laid_out_in_place_of_an_older_one(pack, tmp_path):
    work = tmp_path / "work"
    for name in ("old", "new"):
        for archive in pack.glob("*.zip"):
            archive.unlink()
        write_wheel(pack / "midi.zip", f"{name}/manifest.csv", f"{name}/a.mid")
        assert unpack(pack, work).midi == work / "midi" / "midi" / name
    assert not (work / "midi" / "midi" / "old").exists()


def test_an_archive_cannot_reach_outside(pack, tmp_path):
    write_wheel(pack / "midi.zip", "../../../escaped.mid", "/escaped.mid")
    unpack(pack, tmp_path / "work")
    found = {path.parent for path in tmp_path.rglob("escaped.mid")}
    assert found == {tmp_path / "work" / "midi" / "midi"}


def test_wheels_for_others_are_refused_by_name(pack, tmp_path):
    write_wheel(pack / "drum-1.0-cp27-cp27m-win32.whl", "drum.py")
    found = unpack(pack, tmp_path / "work")
    assert found.refused == ("drum-1.0-cp27-cp27m-win32.whl",)
    assert not (found.site / "drum.py").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="tags of Linux")
@pytest.mark.parametrize(
    ("tags", "good"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py2-none-any", False),
        (f"{HERE}-{HERE}-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
        ("cp38-abi3-manylinux_2_28_x86_64", True),
        ("cp399-abi3-manylinux_2_28_x86_64", False),
        ("cp38-cp38-manylinux_2_28_x86_64", False),
        (f"{HERE}-{HERE}-win_amd64", False),
        (f"{HERE}-{HERE}-manylinux_2_28_riscv64", False),
        ("nonsense", False),
    ],
)
def test_the_tags_of_a_wheel_decide(tags, good, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert fits(f"some_name-1.0-{tags}.whl") is good


def damage(name: str, content: bytes | None):
    def harm(pack: Path) -> None:
        if content is None:
            (pack / name).unlink()
        else:
            (pack / name).write_bytes(content)

    return harm


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (damage("font.SF3", None), r"must hold one SoundFont \(.sf2, .sf3\), but holds none"),
        (damage("b.sf2", b""), "must hold one SoundFont .* but holds b.sf2, font.SF3"),
        (damage("midi.zip", b"no archive"), "midi.zip: cannot be unpacked"),
        (damage("flute-1.0-py3-none-any.whl", b"PK"), "any.whl: cannot be unpacked"),
    ],
)
def test_a_bad_pack_is_told_in_one_line(pack, tmp_path, harm, told):
    harm(pack)
    with pytest.raises(ValueError, match=told):
        unpack(pack, tmp_path / "work")


def test_a_missing_pack_is_named(tmp_path):
    with pytest.raises(ValueError, match="absent: no such folder"):
        unpack(tmp_path / "absent", tmp_path / "work")
