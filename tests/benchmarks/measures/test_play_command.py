"""The `play` benchmark as a whole, on the toy bank and a SoundFont of two waves."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import mido
import numpy as np
import pytest
import yaml

from benchmarks.__main__ import main
from benchmarks.measures.play import morph, scores
from benchmarks.measures.play.morph import AMOUNTS, ANYWHERE
from benchmarks.measures.play.stage import LEAD_IN_S, Original, Ours, Stage
from daw_bridge.midi.file import TimedMessage
from player.bounce import bounce
from synth.bank.bank import load_bank
from synth.instrument import make_instrument
from tests.trainer.tiny_soundfont import write_soundfont
from trainer.data.fluidsynth import FluidSynth

PROGRAMS = {"piano": 0, "bright-lead": 80}


@pytest.fixture(scope="module")
def soundfont(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_soundfont(tmp_path_factory.mktemp("soundfont") / "tiny.sf2")
    try:
        FluidSynth(path)
    except ValueError as error:
        if "not installed" in str(error):
            pytest.skip(str(error))
        raise
    return path


def told_of(toy_bank: Path, folder: Path, data: dict) -> Path:
    """The toy bank, as if it had been made with such data."""
    shutil.copytree(toy_bank, folder)
    content = yaml.safe_load((folder / "bank.yaml").read_text())
    content["about"] = {"data": data}
    (folder / "bank.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def bank(toy_bank: Path, soundfont: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sha256 = hashlib.sha256(soundfont.read_bytes()).hexdigest()
    gains_db = dict.fromkeys(PROGRAMS, -6.0)
    data = {"programs": PROGRAMS, "gains_db": gains_db, "soundfont_sha256": sha256}
    return told_of(toy_bank, tmp_path_factory.mktemp("banks") / "toy", data)


@pytest.fixture(scope="module")
def stage(bank: Path, soundfont: Path) -> Stage:
    loaded = load_bank(bank)
    instrument = make_instrument(loaded, "spectral")
    return Stage(Ours(instrument), Original(loaded, soundfont))


def play(bank: Path, soundfont: Path, *flags: str) -> int:
    return main(["play", "--bank", str(bank), "--soundfont", str(soundfont), *flags])


def test_every_section_has_its_rows_and_its_picture(bank, soundfont, tmp_path):
    kept, pictures = tmp_path / "play.json", tmp_path / "pictures"
    flags = ["--json", str(kept)]
    try:
        import matplotlib  # noqa: F401

        flags += ["--pictures", str(pictures)]
    except ImportError:
        pass
    assert play(bank, soundfont, *flags) == 0
    rows = json.loads(kept.read_text())
    assert {(row["bank"], row["vocoder"]) for row in rows} == {("toy", "spectral")}
    sections = [row["section"] for row in rows]
    order = ["held", "movement", "texture", "bass", "levels", "morph", "evenness", "summary"]
    assert list(dict.fromkeys(sections)) == order
    counts = {section: sections.count(section) for section in order}
    assert counts["held"] == 2 * 3 * 5 and counts["texture"] == 2 * 4
    assert counts["bass"] == 2 * 5 and counts["levels"] == 2 * 9 + 1
    assert counts["morph"] == 1 + 1 + ANYWHERE + 2 + 1 and counts["summary"] == 7
    told = {row["patch"]: row for row in rows if row["section"] == "summary"}
    for section in set(order) - {"summary", "texture"}:
        own = [row["ok"] for row in rows if row["section"] == section and row["ok"] is not None]
        assert (told[section]["ours"], told[section]["original"]) == (sum(own), len(own))
    if pictures.exists():
        drawn = sorted(path.name for path in pictures.iterdir())
        assert drawn == [f"play-{n}-toy.png" for n in ("bass", "held", "morphs", "spectrograms")]
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures.iterdir())


def test_ours_is_what_a_bounce_plays(stage):
    bank, rate = stage.bank, stage.ours.rate
    pair = stage.pair("bright-lead", [(0.0, 0.4, 60, 90), (0.4, 0.6, 64, 70)], 0.9)
    messages = [
        TimedMessage(LEAD_IN_S + at, mido.Message(kind, note=key, velocity=velocity))
        for at, kind, key, velocity in (
            (0.0, "note_on", 60, 90),
            (0.4, "note_off", 60, 0),
            (0.4, "note_on", 64, 70),
            (0.6, "note_off", 64, 0),
        )
    ]
    frames = round((LEAD_IN_S + 0.9) * bank.analysis.frame_rate)
    blocks = bounce(stage.ours.instrument, messages, {1: "bright-lead"}, frames)
    left, right = np.concatenate(list(blocks))[round(LEAD_IN_S * rate) :].T
    patch = bank.patch("bright-lead")
    # Of constant power: the squares of both channels add up to the part's.
    bounced = np.hypot(left, right) * 10 ** (-patch.gain_db / 20)
    count = min(len(bounced), len(pair.ours))
    assert np.abs(pair.ours).max() > 0.01
    np.testing.assert_allclose(np.abs(pair.ours[:count]), bounced[:count], atol=1e-5)


@pytest.mark.parametrize("lookahead", [0, 40])
def test_takes_that_are_played_in_one_go_do_not_hear_each_other(stage, lookahead):
    points = [stage.places[name] for name in stage.patches]
    strikes = [(0.0, 0.5, 60, 90)]
    ours = Ours(stage.ours.instrument, lookahead)
    together = ours.play_each(points, strikes, 0.5)
    alone = [ours.play_each([point], strikes, 0.5)[0] for point in points]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_no_limiter_hides_a_peak(stage):
    point, strikes = stage.places["piano"], [(0.0, 0.5, 60, 127)]
    (low,), (high,) = (
        stage.ours.play_each([point], strikes, 0.6, headroom_db) for headroom_db in (20.0, 60.0)
    )
    np.testing.assert_allclose(low, high, rtol=1e-3, atol=1e-5)


def test_the_original_begins_with_the_score_at_the_banks_gain(stage, soundfont):
    pair = stage.pair("piano", [(0.104, 1.0, 69, 127)], 1.0)
    assert np.abs(pair.original[: round(0.1 * pair.rate)]).max() < 1e-3
    heard = pair.original[round(0.2 * pair.rate) : round(0.9 * pair.rate)]
    events = scores.events([(0.0, 1.0, 69, 127)], pair.rate)
    plain = FluidSynth(soundfont).render(events, 0, pair.rate, 1.0)
    ratio = heard.std() / plain[round(0.2 * pair.rate) : round(0.9 * pair.rate)].std()
    assert 20 * np.log10(ratio) == pytest.approx(-6, abs=0.05)


def test_lines_begin_and_end_at_their_patches(stage):
    (line,), found = morph.listen(stage)
    assert line.name == "piano - bright-lead" and line.loudness.shape == AMOUNTS.shape
    assert line.off_db[0] == line.off_db[-1] == 0
    gain_db = stage.bank.patch("bright-lead").gain_db
    strikes = [
        (onset, release, key, 90) for onset, release, keys in morph.embedding.PHRASE for key in keys
    ]
    seconds = morph.embedding.PHRASE_S + morph.TAIL_S
    take = stage.ours.play_each([stage.places["bright-lead"]], strikes, seconds)[0]
    alone = morph.level_db(morph.k_weighted(take, stage.ours.rate)) + gain_db
    assert line.loudness[-1] == pytest.approx(alone, abs=0.01)
    assert [f.section for f in found[-2:]] == ["evenness", "evenness"]


def test_less_is_played_when_asked_for(bank, soundfont, tmp_path):
    kept = tmp_path / "play.json"
    flags = ["--sections", "bass", "--patches", "piano", "--json", str(kept)]
    assert play(bank, soundfont, *flags) == 0
    rows = json.loads(kept.read_text())
    assert [row["section"] for row in rows] == ["bass"] * 5 + ["summary"]
    assert {row["patch"] for row in rows[:5]} == {"piano"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "about: data: programs is missing"),
        ({"programs": PROGRAMS}, "about: data: gains_db is missing"),
        ({"programs": {"piano": 200}, "gains_db": {"piano": 0}}, "programs: piano"),
        ({"programs": {"flute": 73}, "gains_db": {"flute": 0}}, "patches of the bank (piano"),
        ({"programs": PROGRAMS, "gains_db": {"piano": 0}}, "gains_db: bright-lead is missing"),
        (
            {"programs": PROGRAMS, "gains_db": {"piano": 0, "bright-lead": "loud"}},
            "gains_db: bright-lead",
        ),
        (
            {
                "programs": PROGRAMS,
                "gains_db": dict.fromkeys(PROGRAMS, 0),
                "soundfont": "Other.sf2",
                "soundfont_sha256": "00",
            },
            "(Other.sf2, sha256 00), got sha256",
        ),
    ],
)
def test_a_bank_that_cannot_be_compared_is_told_by_field(
    toy_bank, soundfont, tmp_path, capsys, data, told
):
    assert play(told_of(toy_bank, tmp_path / "toy", data), soundfont) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_the_banks_own_soundfont_is_looked_for_by_its_name_alone(toy_bank, tmp_path, capsys):
    gains_db = dict.fromkeys(PROGRAMS, 0)
    data = {"programs": PROGRAMS, "gains_db": gains_db, "soundfont": "../../../nowhere.sf2"}
    bank = told_of(toy_bank, tmp_path / "toy", data)
    assert main(["play", "--bank", str(bank)]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "--soundfont: expected a file" in told and "../../../nowhere.sf2" in told


def test_bad_flags_are_told_in_one_line(bank, soundfont, capsys):
    for flags, told in (
        (["--patches", "organ"], "--patches: expected some of piano, bright-lead, got 'organ'"),
        (["--lookahead", "-1"], "--lookahead: expected a whole number, 0..125, got '-1'"),
        (["--patches", "piano", "--sections", "morph"], "a morph needs two"),
    ):
        assert play(bank, soundfont, *flags) == 2
        assert told in capsys.readouterr().err.splitlines()[-1]
    assert play(bank, Path("nowhere.sf2")) == 2
    assert "nowhere.sf2: no such SoundFont" in capsys.readouterr().err
