"""The fidelity benchmark's machinery, on the toy bank; what a toy scores says nothing."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import mido
import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from benchmarks.__main__ import main
from benchmarks.measures.conditions import (
    CONDITIONS,
    MAGNITUDES_SPECTRAL,
    MEL_GRIFFIN_LIM,
    MU_LAW,
    NOTES_SPECTRAL,
    NOTES_WAVENET,
    play,
)
from benchmarks.measures.fidelity import QUICK, Task, add_flags, measure_task, tasks_of
from benchmarks.measures.published import BY_INSTRUMENT, BY_LOSS, published
from benchmarks.measures.takes import instruments, load_takes, take_paths
from benchmarks.measures.work_file import WorkFile
from common.window import KEYS, LOWEST_KEY
from daw_bridge.midi.file import TimedMessage
from player.bounce import bounce
from synth.bank.bank import load_bank
from synth.instrument import make_instrument
from tests.benchmarks.tiny_takes import PIECES, make_data

NAMES = ["piano", "organ", "bright-lead"]
"""The toy's patches as its bank orders them: by program, then the one without."""
SECONDS = 1.5


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("takes") / "data")


@pytest.fixture
def run(toy_bank, data, tmp_path):
    """Runs the benchmark on a little of everything; returns its rows."""

    def measured(
        *flags: str,
        bank: Path = toy_bank,
        conditions: tuple[str, ...] = CONDITIONS,
        command: str = "fidelity",
    ):
        told = ["--bank", str(bank), "--data", str(data), "--work", str(tmp_path / "work.jsonl")]
        told += ["--pieces", "1", "--seconds", str(SECONDS), "--workers", "1"]
        told += ["--json", str(tmp_path / "rows.json"), "--conditions", *conditions, *flags]
        assert main([command, *told]) == 0
        return json.loads((tmp_path / "rows.json").read_text())

    return measured


def complaint(capsys, *told: str) -> str:
    assert main(["fidelity", *told]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def kept(tmp_path: Path) -> list[str]:
    return (tmp_path / "work.jsonl").read_text().splitlines()


def test_every_condition_lookahead_and_instrument_has_its_row(run):
    rows = run("--lookahead", "2", "full")
    named = [(r["condition"], r["lookahead"], r["instrument"]) for r in rows]
    sets = [(c, "-") for c in CONDITIONS[:4]]
    sets += [(c, at) for c in CONDITIONS[4:] for at in (2, "full")]
    wanted = [(c, at, name) for c, at in sets for name in NAMES]
    assert named == wanted + [(c, at, "all") for c, at in sets]
    for condition, lookahead in sets:
        own = [r for r in rows if (r["condition"], r["lookahead"]) == (condition, lookahead)]
        *each, overall = own
        for figure in ("mean_r", "stft", "log_mel_l1", "seconds"):
            # Kept figures are rounded.
            mean = np.mean([r[figure] for r in each])
            assert overall[figure] == pytest.approx(mean, abs=1e-3)
        assert all(-1 <= r["mean_r"] <= 1 and r["stft"] > 0 for r in own)
    assert {r["bank"] for r in rows[:6]} == {"-", "toy"} and rows[0]["loss"] == "-"
    assert rows[-1]["loss"] == "tanh-log-abs"
    assert all(row["mean_r"] > 0.9 for row in rows if row["condition"] == MU_LAW)
    overall = {(r["condition"], r["lookahead"]): r for r in rows[-len(sets) :]}
    assert overall[NOTES_SPECTRAL, "full"]["published"] == 0.754


def test_plain_tones_survive_every_way_that_starts_from_the_original(run):
    vocoded = (MEL_GRIFFIN_LIM, MAGNITUDES_SPECTRAL)
    rows = run(conditions=(MU_LAW, *vocoded))
    r = {row["condition"]: row["mean_r"] for row in rows if row["instrument"] == "all"}
    assert all(r[MU_LAW] > r[condition] > 0.75 for condition in vocoded)
    # At another level, or misaligned, they would not.
    assert all(row["stft"] < 1.5 and row["onset_ms"] <= 2 for row in rows)


def test_rows_done_are_not_measured_again(run, tmp_path):
    chosen = (MU_LAW, NOTES_SPECTRAL)
    first = run("--lookahead", "0", conditions=chosen)
    lines = kept(tmp_path)
    assert len(lines) == 6
    assert run("--lookahead", "0", conditions=chosen) == first and kept(tmp_path) == lines
    # A crash in the middle of a line loses that row alone.
    (tmp_path / "work.jsonl").write_text("\n".join(lines)[:-40])
    assert run("--lookahead", "0", conditions=chosen) == first
    assert kept(tmp_path)[:5] == lines[:5] and kept(tmp_path)[6:] == lines[5:]
    run("--lookahead", "0", "--seconds", "2", conditions=chosen)
    assert len(kept(tmp_path)) == 13


def test_other_weights_are_measured_anew_and_only_where_they_are_heard(run, toy_bank, tmp_path):
    run("--lookahead", "0", conditions=(MU_LAW, NOTES_SPECTRAL))
    other = tmp_path / "other"
    shutil.copytree(toy_bank, other)
    weights = load_file(other / "mel2mel.safetensors")
    weights["fine.bias"] += 0.5
    save_file(weights, other / "mel2mel.safetensors")
    both = ("--bank", str(other), "--lookahead", "0")
    rows = run(*both, conditions=(MU_LAW, NOTES_SPECTRAL))
    assert len(kept(tmp_path)) == 9
    assert [r["bank"] for r in rows if r["instrument"] == "all"] == ["-", "toy", "other"]
    assert rows[-2]["stft"] != rows[-1]["stft"]


def test_two_processes_measure_what_one_does(run, tmp_path):
    one = run(conditions=(MU_LAW,))
    (tmp_path / "work.jsonl").unlink()
    assert run("--workers", "2", conditions=(MU_LAW,)) == one


@pytest.mark.parametrize("lookahead", [0, 16, "full"])
def test_where_a_take_ends_does_not_change_its_sound(toy_bank, data, lookahead):
    bank = load_bank(toy_bank)
    instrument = make_instrument(bank, "spectral")
    paths = take_paths(data, "organ", 1)
    short, long = (load_takes(bank, paths, "organ", seconds)[0] for seconds in (1.0, 2.0))
    heard = [play(instrument, lookahead, take) for take in (short, long)]
    np.testing.assert_allclose(heard[0], heard[1][: len(heard[0])], atol=1e-6)


@pytest.mark.parametrize("lookahead", [0, 3, "full"])
def test_a_score_is_played_as_a_bounce_plays_it(toy_bank, data, lookahead):
    bank = load_bank(toy_bank)
    (take,) = load_takes(bank, take_paths(data, "piano", 1), "piano", 60.0)
    messages = []
    sounding = np.diff(take.roll[:, :KEYS], axis=0, prepend=0)
    for frame, key in zip(*np.nonzero(sounding), strict=True):
        velocity = round(max(127 * sounding[frame, key], 0))
        message = mido.Message("note_on", note=key + LOWEST_KEY, velocity=velocity)
        messages.append(TimedMessage(frame * bank.analysis.hop / bank.analysis.rate, message))
    instrument = make_instrument(bank, "spectral")
    blocks = bounce(instrument, messages, {1: "piano"}, take.frames, lookahead)
    bounced = np.concatenate(list(blocks))[:, 0]
    # Notes at the start of their frames, where a take has them in the middle on the whole.
    ours = play(instrument, lookahead, take)[bank.analysis.hop // 2 :]
    assert np.abs(ours).max() > 0.01
    # A part in the middle comes at -3 dB on either side.
    # A bounce sees one frame of silence more, which the whole sequence hears a little.
    atol = 1e-4 if lookahead == "full" else 1e-6
    np.testing.assert_allclose(ours * np.sqrt(0.5), bounced[: len(ours)], atol=atol)


def test_more_of_a_piece_and_more_pieces_are_heard_when_asked_for(toy_bank, data):
    paths = tuple(take_paths(data, "organ", 2))
    assert [p.stem for p in paths] == [f"{piece}-organ" for piece in PIECES]
    task = Task(MU_LAW, toy_bank, None, "organ", paths, 2.0)
    assert measure_task(task)["seconds"] == 4.0
    assert take_paths(data, "organ", 1) == [paths[0]] and take_paths(data, "organ", 9) == [*paths]


def test_of_the_wavenet_as_much_is_heard_as_flags_ask_for(toy_bank, data):
    parser = argparse.ArgumentParser()
    add_flags(parser)
    banks = {toy_bank: load_bank(toy_bank)}
    for flags, length in (([], QUICK.wavenet_seconds), (["--seconds", "60"], 60.0)):
        options = parser.parse_args([*flags, "--data", str(data), "--conditions", NOTES_WAVENET])
        assert {task.seconds for task in tasks_of(banks, options)} == {length}


def test_a_patch_whose_name_ends_in_anothers_keeps_its_own_pieces(toy_bank, tmp_path):
    data = make_data(tmp_path / "data")
    manifest = data / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("organ", "grand-piano"))
    for path in (data / "test").glob("*-organ.npz"):
        path.rename(path.with_name(path.name.replace("organ", "grand-piano")))
    assert {p.stem for p in take_paths(data, "piano", 9)} == {f"{p}-piano" for p in PIECES}
    assert instruments(load_bank(toy_bank), data) == ["piano", "bright-lead"]


def test_published_figures_stand_beside_what_they_are_of():
    assert published("true mel -> wavenet", "-", "all") == 0.854
    assert published("true mel -> wavenet", "-", "trumpet") is None
    assert published(MEL_GRIFFIN_LIM, "-", "all") is None
    assert published("notes -> mel2mel -> wavenet", "log-abs", "trumpet") == 0.668
    assert published("notes -> mel2mel -> wavenet", "another", "all") is None
    # What published.py says of the means of the two tables.
    losses = np.mean([curve.mean for curve in BY_LOSS.values()])
    assert np.mean(list(BY_INSTRUMENT.values())) == pytest.approx(losses, abs=0.002)


def test_a_work_file_tells_settings_apart(tmp_path):
    work = WorkFile(tmp_path / "deep" / "work.jsonl")
    work.add({"a": 1, "b": [2]}, {"r": 0.5})
    again = WorkFile(work.path)
    assert again.get({"b": [2], "a": 1}) == {"r": 0.5}
    assert again.get({"a": 1, "b": [3]}) is None


def test_figures_are_drawn(run, tmp_path):
    pytest.importorskip("matplotlib")
    plots = tmp_path / "plots"
    flags = ("--lookahead", "0", "--out", str(plots))
    rows = run(*flags, conditions=(MU_LAW, NOTES_SPECTRAL), command="fidelity-plots")
    lines = kept(tmp_path)
    run("--lookahead", "0", conditions=(MU_LAW, NOTES_SPECTRAL))
    assert kept(tmp_path) == lines, "what was drawn is not measured again"
    assert [Path(row["picture"]).parent for row in rows] == [plots] * 2
    drawn = sorted(path.name for path in plots.iterdir())
    assert drawn == ["fidelity-by-frequency.png", "fidelity-by-instrument.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in plots.iterdir())


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--lookahead", "-1"], "--lookahead: expected 0..125 or full, got '-1'"),
        (["--seconds", "0"], "--seconds: expected a number above 0, got '0'"),
        (["--workers", "0"], "--workers: expected a whole number, 1 or more, got '0'"),
        (["--data", "nowhere"], "no data set here"),
        (["--bank", "nowhere"], "no bank here"),
    ],
)
def test_bad_flags_are_told_in_one_line(capsys, toy_bank, data, tmp_path, flags, told):
    base = ["--data", str(data), "--work", str(tmp_path / "work.jsonl")]
    bank = [] if "--bank" in flags else ["--bank", str(toy_bank)]
    assert told in complaint(capsys, *base, *bank, *flags)


def test_two_banks_of_one_name_are_refused(capsys, toy_bank, data, tmp_path):
    shutil.copytree(toy_bank, tmp_path / toy_bank.name)
    banks = ["--bank", str(toy_bank), "--bank", str(tmp_path / toy_bank.name)]
    assert "two banks are named 'toy'" in complaint(capsys, "--data", str(data), *banks)


def test_a_piece_is_heard_from_its_first_note_on(toy_bank, data):
    (take,) = load_takes(load_bank(toy_bank), take_paths(data, "piano", 1), "piano", 3.0)
    assert take.onsets[0] == 0 and len(take.original) == 48_000
    # The score goes on, as it does for a network that looks ahead.
    assert take.frames == 375 and take.roll.shape == (490, 176)
    # The tiny data's notes sound from their onset's frame on, at once.
    assert np.abs(take.original[:128]).max() > 0.1
    whole = np.load(take_paths(data, "piano", 1)[0])
    np.testing.assert_array_equal(np.rint(take.original * 32767), whole["audio"][1280:49280])
