"""Batches in one process: the files are render's, none is made twice, a fault costs one score."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from common.flags import read_flags
from common.loudness import Meter
from player.batch.batch import batch
from player.batch.flags import BatchFlags
from player.flags import RenderFlags
from player.render import render
from tests.player.batch.scores import contents, write_score

ALONE = ("--workers", "1", "--midi-map", "none", "--patches", "none")


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """A folder of two scores, one in a folder of its own."""
    folder = tmp_path / "scores"
    (folder / "more").mkdir(parents=True)
    write_score(folder / "first.mid", 60, 64, 67)
    write_score(folder / "more" / "second.mid", 48, 72)
    return folder


def run(bank: Path, out: Path, *arguments: object) -> bool:
    given = [str(a) for a in (*arguments, "--bank", bank, "--out", out, *ALONE)]
    return batch(read_flags(BatchFlags, given, "batch"))


def manifest(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_every_score_with_every_patch_is_the_file_of_render(scores, toy_bank, tmp_path):
    out = tmp_path / "out"
    assert run(toy_bank, out, scores, "--patch", "piano", "organ", "--seed", 5)
    lines = manifest(out)
    assert [(Path(line["score"]).stem, line["patch"]) for line in lines] == [
        ("first", "organ"),
        ("first", "piano"),
        ("second", "organ"),
        ("second", "piano"),
    ]
    assert sorted(contents(out)) == [line["file"] for line in lines]
    for line in lines:
        alone = tmp_path / "alone.wav"
        given = [line["score"], str(alone), "--bank", str(toy_bank), *ALONE[2:], "--seed", "5"]
        render(read_flags(RenderFlags, [*given, "--patch", line["patch"]], "render"))
        assert alone.read_bytes() == (out / line["file"]).read_bytes()
        assert line["took_s"] > 0 and line["seconds"] == soundfile.info(alone).duration


def test_a_file_that_is_there_is_not_made_again(scores, toy_bank, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(toy_bank, out, scores, "--patch", "piano")
    whole, lines = contents(out), manifest(out)
    times = {path: path.stat().st_mtime_ns for path in out.glob("*.wav")}
    lost, *kept = sorted(times)
    lost.unlink()
    (out / ".lost.wav.00.part").write_bytes(b"half a file")
    assert run(toy_bank, out, scores, "--patch", "piano")
    assert "1 made, 1 were there, 0 failed" in capsys.readouterr().out
    assert contents(out) == whole
    assert [path.stat().st_mtime_ns for path in kept] == [times[path] for path in kept]
    assert {line["file"]: line["sha256"] for line in manifest(out)} == {
        line["file"]: line["sha256"] for line in lines
    }


def test_what_decides_the_sound_decides_the_name(scores, toy_bank, tmp_path):
    out, bank = tmp_path / "out", tmp_path / "bank"
    shutil.copytree(toy_bank, bank)
    asked: list[tuple[object, ...]] = [
        (),
        ("--patch", "piano"),
        ("--seed", 1),
        ("--gain", -3),
        ("--lookahead", 2),
        ("--loudness", -20),
        ("--format", "flac"),
    ]
    for count, flags in enumerate(asked, 1):
        assert run(bank, out, scores / "first.mid", *flags)
        assert len(contents(out)) == count
    patch = bank / "piano.yaml"
    patch.write_text(patch.read_text().replace("gain_db: 0.0", "gain_db: -1.0"))
    assert run(bank, out, scores / "first.mid", "--patch", "piano")
    assert len(contents(out)) == len(asked) + 1
    write_score(scores / "first.mid", 61)
    assert run(bank, out, scores / "first.mid", "--patch", "piano")
    assert len(contents(out)) == len(asked) + 2


def test_a_fault_costs_one_score_and_is_told_at_the_end(scores, toy_bank, tmp_path, capsys):
    (scores / "broken.mid").write_bytes(b"no MIDI")
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(scores / "silent.mid")
    out = tmp_path / "out"
    assert not run(toy_bank, out, scores, tmp_path / "absent.mid", "--patch", "piano")
    told = capsys.readouterr()
    assert "2 made, 0 were there, 3 failed" in told.out
    assert told.err.splitlines()[-3:] == [
        f"melstream: {tmp_path / 'absent.mid'}: no such file",
        f"melstream: {scores / 'broken.mid'}: not a MIDI file of type 0 or 1 "
        "(it does not start with MThd)",
        f"melstream: {scores / 'silent.mid'}: no note to play (of keys 21..108)",
    ]
    assert len(contents(out)) == len(manifest(out)) == 2


def test_drums_are_left_out_without_advice_that_batch_does_not_take(toy_bank, tmp_path):
    path, out = tmp_path / "drums.mid", tmp_path / "out"
    write_score(path, 60)
    file = mido.MidiFile(path)
    file.tracks[0].insert(0, mido.Message("note_on", channel=9, note=40, velocity=80))
    file.save(path)
    assert run(toy_bank, out, path)
    assert manifest(out)[0]["left_out"] == ["1 note on channel 10 (drums) left out"]


def test_a_lost_line_is_written_again_from_the_file(scores, toy_bank, tmp_path):
    out = tmp_path / "out"
    assert run(toy_bank, out, scores, "--patch", "piano", "--outputs", "parts")
    before = manifest(out)
    first, second = (out / "manifest.jsonl").read_text().splitlines()
    (out / "manifest.jsonl").write_text(f"{second}\n{first[:40]}")
    assert run(toy_bank, out, scores, "--patch", "piano", "--outputs", "parts")
    again = manifest(out)
    assert again[1] == before[1] and again[0]["took_s"] is None and before[0]["took_s"]
    for name in ("file", "sha256", "parts", "seconds", "score", "patch", "seed", "bank_sha256"):
        assert again[0][name] == before[0][name]


def test_parts_add_up_to_the_mix(toy_bank, tmp_path):
    song = mido.MidiFile()
    for channel, key in ((0, 60), (2, 67)):
        path = write_score(tmp_path / "part.mid", key, key + 2, channel=channel)
        song.tracks.append(mido.MidiFile(path).tracks[0])
    song.save(tmp_path / "song.mid")
    out = tmp_path / "out"
    flags = ("--patch", "piano", "--outputs", "parts", "--gain", -20)
    assert run(toy_bank, out, tmp_path / "song.mid", *flags)
    (line,) = manifest(out)
    mix, _ = soundfile.read(out / line["file"])
    parts = [soundfile.read(out / name)[0] for name in line["parts"]]
    assert [name[-11:] for name in line["parts"]] == ["part-01.wav", "part-03.wav"]
    assert all(np.abs(part).max() > 0.001 for part in parts)
    # A sound that ends fades for a moment; mix and parts do that one sample apart.
    np.testing.assert_allclose(sum(parts), mix, atol=np.abs(mix).max() / 20)
    assert np.abs(sum(parts) - mix).mean() < np.abs(mix).mean() / 1_000
    assert run(toy_bank, tmp_path / "mix", tmp_path / "song.mid", "--patch", "piano", "--gain", -20)
    (alone,) = contents(tmp_path / "mix").values()
    assert alone == (out / line["file"]).read_bytes()


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_a_piece_is_brought_to_a_loudness_below_full_scale(scores, toy_bank, tmp_path, form):
    out = tmp_path / "out"
    for asked in (-30.0, -5.0):
        flags = ("--patch", "piano", "--loudness", asked, "--format", form)
        assert run(toy_bank, out, scores / "first.mid", *flags)
    for line in manifest(out):
        sound, rate = soundfile.read(out / line["file"], dtype="float32")
        meter = Meter(rate, 2)
        meter.add(sound)
        assert meter.lufs() == pytest.approx(line["lufs"], abs=0.01)
        peak_db = 20 * np.log10(np.abs(sound).max())
        assert line["lufs"] == pytest.approx(-30, abs=0.01) or peak_db == pytest.approx(
            -1, abs=1e-3
        )
    assert {round(line["lufs"]) == -30 for line in manifest(out)} == {True, False}


def test_flac_is_the_wav_to_24_bits(scores, toy_bank, tmp_path):
    for form in ("wav", "flac"):
        flags = ("--patch", "piano", "--format", form)
        assert run(toy_bank, tmp_path / form, scores / "first.mid", *flags)
    (wav,), (flac,) = (list((tmp_path / form).glob(f"*.{form}")) for form in ("wav", "flac"))
    assert soundfile.info(flac).subtype == "PCM_24"
    np.testing.assert_allclose(soundfile.read(flac)[0], soundfile.read(wav)[0], atol=2**-23)


@pytest.mark.parametrize(
    "flags, told",
    [
        (("--patch", "none-such"), "no patch 'none-such' in .*; it has: "),
        (("--gain", 3, "--loudness", -20), "--gain 3: --loudness finds the gain"),
        (("--address", "auto"), "--workers: expected alone, got --address too"),
        (("--loudness", 3), "--loudness: expected at most -5, got 3.0"),
    ],
)
def test_flags_that_make_no_sense_are_refused(scores, toy_bank, tmp_path, flags, told):
    with pytest.raises(ValueError, match=told):
        run(toy_bank, tmp_path / "out", scores, *flags)


def test_without_ray_one_process_does_the_work(scores, toy_bank, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    given = [str(scores), "--bank", str(toy_bank), "--patch", "piano", *ALONE[2:]]

    def without_ray(*flags: str) -> bool:
        return batch(read_flags(BatchFlags, [*given, "--out", str(tmp_path / "out"), *flags], ""))

    for flags in (("--workers", "2"), ("--address", "auto")):
        with pytest.raises(ValueError, match="Ray is not installed: pip install"):
            without_ray(*flags)
    monkeypatch.setattr("player.batch.batch.cores_here", lambda: 2)
    assert without_ray()
    told = capsys.readouterr().out
    assert "one process, since Ray is not installed" in told and "2 made" in told


def test_no_score_at_all_is_refused(toy_bank, tmp_path):
    with pytest.raises(ValueError, match="SCORES: expected MIDI files or folders, got none"):
        run(toy_bank, tmp_path / "out")


def test_a_folder_without_scores_is_refused(toy_bank, tmp_path):
    with pytest.raises(ValueError, match="no MIDI files"):
        run(toy_bank, tmp_path / "out", tmp_path)
