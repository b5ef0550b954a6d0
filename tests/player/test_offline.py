"""Law 1: the same seed and events give the same samples, offline or live, in any blocks."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Literal

import mido
import numpy as np
import pytest
import soundfile

from benchmarks.rigs.live import ROOT
from daw_bridge.inbox import LIMIT
from daw_bridge.midi.file import TimedMessage
from player.bounce import bounce
from player.flags import DEFAULT_BANK
from player.live import Player
from synth.bank.bank import Bank, load_bank
from synth.instrument import Instrument
from synth.output.recorder import WavRecorder
from synth.output.sinks import ClockSink
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.vocoder import wavenet_vocoder
from tests.server import run
from tests.waiting import PROCESS_S
from trainer.bank.check import in_tune

WAVENET_BANK = DEFAULT_BANK.parent / "gm10"
RATE, HOP = 48_000, 384
"""Of the default bank."""
CHORD = [(0.05, 0, 60), (0.11, 0, 64), (0.11, 1, 43), (0.3, 2, 72)]
PATCHES = {1: "grand-piano", 2: "church-organ", 3: "trumpet"}


def spectral(bank: Bank) -> Instrument:
    return Instrument(bank, SpectralVocoder(bank.analysis))


def messages() -> list[TimedMessage]:
    """Three parts, a pedal, a moving timbre and an end, within half a second."""
    score = [
        TimedMessage(at, mido.Message("note_on", channel=channel, note=key, velocity=90))
        for at, channel, key in CHORD
    ]
    score += [
        TimedMessage(0.08, mido.Message("program_change", channel=0, program=19)),
        TimedMessage(0.2, mido.Message("control_change", channel=2, control=74, value=90)),
        TimedMessage(0.25, mido.Message("control_change", channel=0, control=10, value=20)),
        TimedMessage(0.28, mido.Message("pitchwheel", channel=2, pitch=3000)),
        TimedMessage(0.33, mido.Message("control_change", channel=1, control=120, value=0)),
    ]
    return sorted(score, key=lambda timed: timed.seconds)


@pytest.mark.parametrize("name, frames", [("spectral", 60), ("wavenet", 12)])
def test_blocks_do_not_change_the_samples(name: str, frames: int) -> None:
    bank = load_bank(WAVENET_BANK if name == "wavenet" else DEFAULT_BANK)
    heard = []
    for block in (1, 3, 16):
        vocoder = SpectralVocoder(bank.analysis)
        if name == "wavenet":
            vocoder = wavenet_vocoder(bank.wavenet(), "cpu", bank.analysis)
        blocks = bounce(
            Instrument(bank, vocoder), messages(), PATCHES, frames, 4, seed=3, block=block
        )
        heard.append(np.concatenate(list(blocks)))
    assert len(heard[0]) == frames * bank.analysis.hop and np.abs(heard[0]).max() > 0.001
    np.testing.assert_array_equal(heard[0], heard[1])
    np.testing.assert_array_equal(heard[0], heard[2])


@pytest.mark.parametrize(
    "patch, key, lookahead", [("acoustic-guitar", 60, 4), ("vibraphone", 72, "full")]
)
def test_a_note_sounds_where_it_is_within_its_frame(
    patch: str, key: int, lookahead: int | Literal["full"]
) -> None:
    """When it has come to 70 % of its level, at eight places in a frame: within 1 ms."""
    instrument, late_ms = spectral(load_bank(DEFAULT_BANK)), []
    for place in range(8):
        at_s = (20 + place / 8) * HOP / RATE
        score = [TimedMessage(at_s, mido.Message("note_on", note=key, velocity=90))]
        blocks = bounce(instrument, score, {1: patch}, 35, lookahead)
        sound = np.concatenate(list(blocks))[:, 0]
        window = np.hanning(RATE // 50)
        level = np.sqrt(np.convolve(sound**2, window / window.sum(), "same"))
        start = round(at_s * RATE)
        peak = level[start : start + RATE // 12].max()
        late_ms.append(1000 * (int((level > 0.7 * peak).argmax()) - start) / RATE)
    assert np.abs(np.array(late_ms) - np.median(late_ms)).max() < 1


@pytest.mark.parametrize("lookahead", [4, "full"])
def test_a_held_note_sounds_the_same_over_a_change_of_program(
    lookahead: int | Literal["full"],
) -> None:
    """Until the next note, not a sample changes; that note then has the new patch."""
    bank, frames = load_bank(DEFAULT_BANK), 100
    score = [TimedMessage(0.0, mido.Message("note_on", note=60, velocity=90))]
    chosen = [*score, TimedMessage(0.2, mido.Message("program_change", program=56))]
    struck = TimedMessage(0.5, mido.Message("note_on", note=67, velocity=90))
    plain, kept, both, before = (
        np.concatenate(list(bounce(spectral(bank), s, {1: "church-organ"}, frames, lookahead)))
        for s in (score, chosen, [*chosen, struck], [*score, struck])
    )
    np.testing.assert_array_equal(kept, plain)
    at = round(0.45 * RATE)
    np.testing.assert_array_equal(both[:at], plain[:at])
    assert np.abs(both[at:] - plain[at:]).max() > 0.01
    assert np.abs(both[at:] - before[at:]).max() > 0.01


def test_parts_that_fall_asleep_and_wake_sound_the_same_in_any_blocks() -> None:
    bank, rests = load_bank(DEFAULT_BANK), slice(round(1.9 * RATE), round(1.95 * RATE))
    score = [
        TimedMessage(at + late, mido.Message(kind, channel=channel, note=64 - 7 * channel))
        for channel, late in ((0, 0.0), (1, 0.07))
        for at, kind in ((0.1, "note_on"), (0.3, "note_off"), (2.0, "note_on"))
    ]
    score.sort(key=lambda timed: timed.seconds)
    heard = []
    for block in (1, 16, 50):
        blocks = bounce(spectral(bank), score, {1: "trumpet", 2: "grand-piano"}, 280, block=block)
        heard.append(np.concatenate(list(blocks)))
    assert not heard[0][rests].any() and np.abs(heard[0][rests.stop :]).max() > 0.01
    np.testing.assert_array_equal(heard[0], heard[1])
    np.testing.assert_array_equal(heard[0], heard[2])


def test_a_long_piece_seen_as_a_whole_is_played_to_its_end() -> None:
    """More events than may wait from a network at once."""
    bank, frames = load_bank(DEFAULT_BANK), 40
    knob = mido.Message("control_change", channel=0, control=11, value=127)
    score = [TimedMessage(0.0, knob) for _ in range(LIMIT)]
    score += [TimedMessage(0.1, mido.Message("note_on", channel=0, note=60, velocity=90))]
    blocks = bounce(spectral(bank), score, {1: "trumpet"}, frames, "full")
    assert np.abs(np.concatenate(list(blocks))).max() > 0.001


@pytest.mark.parametrize("lookahead", [0, 4, "full"])
def test_a_bend_is_heard_at_its_time_and_in_tune(lookahead: int | Literal["full"]) -> None:
    bank = load_bank(DEFAULT_BANK)
    score = [
        TimedMessage(0.0, mido.Message("note_on", channel=0, note=69, velocity=90)),
        TimedMessage(0.6, mido.Message("pitchwheel", channel=0, pitch=8191)),
    ]
    takes = []
    for events in (score, score[:1]):
        blocks = bounce(spectral(bank), events, {1: "trumpet"}, 150, lookahead)
        takes.append(np.concatenate(list(blocks)).mean(axis=1))
    sound, straight = takes
    # A frame's sound begins before its centre, as far as the vocoder looks ahead.
    begins = 0.6 - (spectral(bank).vocoder.lookahead + 1) * HOP / RATE
    assert begins - 0.01 < np.flatnonzero(sound != straight)[0] / RATE < begins + 0.01
    before, after = sound[RATE // 4 : RATE // 2], sound[RATE * 3 // 4 : RATE]
    assert in_tune(before, 69, RATE) and not in_tune(before, 71, RATE)
    assert in_tune(after, 71, RATE) and not in_tune(after, 69, RATE)


def test_a_bounce_hears_the_controllers_that_were_learnt(tmp_path: Path) -> None:
    bank, learnt = load_bank(DEFAULT_BANK), tmp_path / "map.yaml"
    learnt.write_text("74: timbre/1\n")
    takes = []
    for midi_map in (None, learnt):
        blocks = bounce(spectral(bank), messages(), PATCHES, 60, midi_map=midi_map)
        takes.append(np.concatenate(list(blocks)))
    first = np.flatnonzero((takes[0] != takes[1]).any(axis=1))[0] / RATE
    assert 0.25 < first < 0.32  # the third part's controller 74 turns at 0.3 s


def test_a_live_take_is_the_bounce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, frames = load_bank(DEFAULT_BANK), 80
    engine = spectral(bank).engine(lookahead=4)
    take = tmp_path / "take.wav"
    with WavRecorder(ClockSink(RATE), take) as sink:
        player = Player(bank, engine, sink)
        # On a busy machine it would give parts up, which a bounce never does.
        monkeypatch.setattr(player.overload, "after", lambda load, underruns: None)
        for part, name in PATCHES.items():
            player.desk.patch(part, name, 0)
        for timed in messages():
            player.translator.hear(timed.message, round(timed.seconds * RATE))
        playing = threading.Thread(target=player.run)
        playing.start()
        while playing.is_alive() and engine.frame <= frames + engine.delay:
            playing.join(0.05)
        player.stop()
        playing.join()
    live, _ = soundfile.read(take, dtype="float32")
    offline = bounce(spectral(bank), messages(), PATCHES, frames, 4)
    start = engine.delay * HOP + HOP // 2
    np.testing.assert_array_equal(live[start : start + frames * HOP], np.concatenate(list(offline)))


def test_rendering_twice_gives_the_same_file(tmp_path: Path) -> None:
    song = mido.MidiFile()
    track = mido.MidiTrack()
    song.tracks.append(track)
    track.append(mido.Message("program_change", program=56))
    track.append(mido.Message("program_change", channel=3, program=125))
    for channel, key in ((0, 60), (1, 67), (9, 40)):
        track.append(mido.Message("note_on", channel=channel, note=key, velocity=80, time=240))
    track.append(mido.Message("note_off", channel=0, note=60, time=480))
    song.save(tmp_path / "song.mid")
    made = []
    for name in ("a.wav", "b.wav"):
        out = tmp_path / name
        ended = run("render", str(tmp_path / "song.mid"), str(out), "--part", "2=vibraphone")
        assert ended.returncode == 0, ended.stderr
        assert "1 note on channel 10 (drums)" in ended.stdout
        assert "no patch for programs 125:" in ended.stdout
        assert "Warning" not in ended.stderr
        made.append(out.read_bytes())
    assert made[0] == made[1]
    audio, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == RATE and np.abs(audio).max() > 0.01 and len(audio) > 5 * rate
    full = run("render", str(tmp_path / "song.mid"), str(out), "--lookahead", "full")
    assert full.returncode == 0 and out.read_bytes() != made[0]


def song(path: Path, *notes: tuple[int, int], velocity: int = 80) -> str:
    """A MIDI file of notes (channel 0..15, key), struck together and held half a second."""
    track = [mido.Message("note_on", channel=c, note=k, velocity=velocity) for c, k in notes]
    ends = [mido.Message("note_off", channel=c, note=k) for c, k in notes]
    ends[0].time = 480
    mido.MidiFile(tracks=[mido.MidiTrack(track + ends)]).save(path)
    return str(path)


def test_what_a_rendering_leaves_out_is_told(tmp_path: Path) -> None:
    file = song(tmp_path / "a.mid", (0, 60), (0, 12), (1, 120), (9, 40), (9, 10))
    told = run("render", file, str(tmp_path / "a.wav")).stdout
    assert "2 notes outside keys 21..108 left out" in told
    assert "2 notes on channel 10 (drums) left out; --part 10=PATCH plays them" in told
    told = run("render", file, str(tmp_path / "a.wav"), "--part", "10=trumpet").stdout
    assert "3 notes outside keys 21..108 left out" in told and "drums" not in told


def test_a_patch_for_every_channel_is_for_no_drums(tmp_path: Path) -> None:
    """GS may make any channel one of drums."""
    path = tmp_path / "a.mid"
    file = mido.MidiFile(song(path, (0, 60), (10, 40)))
    makes_drums = bytes.fromhex("41 10 42 12 40 1a 15 02 0f")
    file.tracks[0].insert(0, mido.Message("sysex", data=makes_drums))
    file.save(path)
    told = run("render", str(path), str(tmp_path / "a.wav"), "--patch", "trumpet").stdout
    assert "1 note on channel 11 (drums) left out; --part 11=PATCH plays them" in told
    told = run("render", str(path), str(tmp_path / "a.wav"), "--part", "11=trumpet").stdout
    assert "drums" not in told


def test_a_rendering_tells_its_level_and_takes_another(tmp_path: Path) -> None:
    """The gain before the limiter turns it up or down; normalized, nothing is limited."""
    chord = song(tmp_path / "a.mid", *((0, key) for key in range(48, 60)), velocity=127)
    heard, told = {}, {}
    for name, *flags in (
        ("loud", "--gain", "24"),
        ("soft", "--gain", "-20"),
        ("set", "--normalize"),
    ):
        out = tmp_path / f"{name}.wav"
        ended = run("render", chord, str(out), "--patch", "trumpet", *flags)
        assert ended.returncode == 0, ended.stderr
        heard[name], _ = soundfile.read(out, dtype="float32")
        told[name] = ended.stdout.splitlines()[-1]
    assert np.abs(heard["loud"]).max() <= 1 and "limiter on " in told["loud"]
    assert "limiter at rest" in told["soft"]
    assert np.abs(heard["set"]).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    factor = np.abs(heard["set"]).max() / np.abs(heard["soft"]).max()
    np.testing.assert_allclose(heard["set"], heard["soft"] * factor, atol=1e-6)
    gain_db = float(told["set"].split()[2])
    assert gain_db == pytest.approx(20 * np.log10(factor) - 20, abs=0.06)
    both = run("render", chord, str(out), "--normalize", "--gain", "3")
    assert both.returncode == 2
    assert both.stderr == "melstream: --gain 3: --normalize finds the gain; leave one of them out\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_rendering_that_is_interrupted_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    track = mido.MidiTrack([mido.Message("note_on", note=60, velocity=80)])
    track.append(mido.Message("note_off", note=60, time=480_000))
    mido.MidiFile(tracks=[track]).save(tmp_path / "long.mid")
    out = tmp_path / "long.wav"
    command = [sys.executable, "run_server.py", "render", "--midi-map", "none"]
    command += [str(tmp_path / "long.mid"), str(out)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob(".long.wav.*.part")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=PROCESS_S)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "melstream: interrupted" and "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.mid"]
