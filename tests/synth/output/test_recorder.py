from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from synth.output.recorder import WavRecorder
from synth.output.sinks import ClockSink
from synth.output.wav import wav_header
from tests.waiting import PROCESS_S

RATE = 16_000


def free_clock() -> ClockSink:
    """A clock sink that never waits for anyone: its clock moves with its waits."""
    now = [0.0]

    def wait(seconds: float) -> bool:
        now[0] += seconds
        return False

    return ClockSink(RATE, lambda: now[0], wait)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((samples, 2)).astype(np.float32)


def run(code: str, *args: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PROCESS_S)


def test_the_take_is_bit_for_bit_what_was_written(tmp_path):
    take, sound = tmp_path / "take.wav", noise(20_011)
    block = np.empty((128, 2), np.float32)
    with WavRecorder(free_clock(), take) as sink:
        for start in range(0, len(sound), 128):
            # The engine may use its block again at once.
            part = block[: len(sound[start : start + 128])]
            part[:] = sound[start : start + 128]
            assert sink.write(part)
            part[:] = np.nan
    heard, rate = soundfile.read(take, dtype="float32")
    assert rate == RATE
    np.testing.assert_array_equal(heard, sound)
    assert soundfile.info(take).subtype == "FLOAT"
    assert [p.name for p in tmp_path.iterdir()] == ["take.wav"]


def test_an_older_take_stays_whole_until_the_new_one_is(tmp_path):
    take = tmp_path / "take.wav"
    take.write_bytes(b"the older take")
    with WavRecorder(free_clock(), take) as sink:
        sink.write(noise(100))
        assert take.read_bytes() == b"the older take"
        assert sink.part_path == tmp_path / "take.part.wav"
    assert soundfile.info(take).frames == 100


def test_a_part_left_by_a_crash_is_not_written_over(tmp_path):
    left = tmp_path / "take.part.wav"
    left.write_bytes(b"what the crash left")
    with WavRecorder(free_clock(), tmp_path / "take.wav") as sink:
        sink.write(noise(100))
    assert left.read_bytes() == b"what the crash left"
    assert soundfile.info(tmp_path / "take.wav").frames == 100


def test_a_killed_program_leaves_all_but_the_last_second_readable(tmp_path):
    code = """
import os, signal, sys
import numpy as np
from synth.output.wav import WavWriter
wav = WavWriter(open(sys.argv[1], "xb"), 16_000, 2)
for n in range(40_000 // 128):
    wav.write(np.full((128, 2), n, np.float32))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run(code, tmp_path / "take.part.wav").returncode < 0
    heard, rate = soundfile.read(tmp_path / "take.part.wav", dtype="float32")
    assert 40_000 - RATE - 128 <= len(heard) <= 40_000
    np.testing.assert_array_equal(heard[:, 0], np.arange(len(heard)) // 128)


def test_a_full_disk_ends_the_recording_but_not_the_sound(tmp_path):
    (tmp_path / "take.wav").write_bytes(b"the older take")
    code = """
import resource, sys
import numpy as np
from synth.output.recorder import WavRecorder
from synth.output.sinks import ClockSink
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
now = [0.0]
clock = ClockSink(16_000, lambda: now[0], lambda s: now.append(now.pop() + s))
sink = WavRecorder(clock, sys.argv[1])
assert sink.fault is None
with sink:
    assert all([sink.write(np.ones((1_600, 2), np.float32)) for _ in range(100)])
assert sink.fault == sink.disk_fault
print(sink.disk_fault)
"""
    done = run(code, tmp_path / "take.wav")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"recording {tmp_path / 'take.wav'}: stopped: File too large")
    assert done.stderr.strip() == done.stdout.strip()
    assert (tmp_path / "take.wav").read_bytes() == b"the older take"
    assert soundfile.info(tmp_path / "take.part.wav").frames >= RATE


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (".", "is a folder; name a file"),
        ("missing/take.wav", "cannot be written: No such file or directory"),
        ("x" * 300 + ".wav", "cannot be written: File name too long"),
    ],
)
def test_a_path_that_cannot_be_written_is_one_clear_line_at_the_start(tmp_path, place, problem):
    sink = WavRecorder(free_clock(), tmp_path / place)
    with pytest.raises(ValueError, match=problem) as caught:
        sink.start()
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    sink.close()
    assert not list(tmp_path.iterdir())


def test_a_device_file_is_not_replaced():
    with pytest.raises(ValueError, match="/dev/null: is not a file that can be replaced"):
        WavRecorder(free_clock(), "/dev/null").start()


def test_a_sink_that_does_not_start_leaves_no_file(tmp_path):
    class Broken(ClockSink):
        def start(self) -> None:
            raise OSError("no device")

    with pytest.raises(OSError, match="no device"):
        WavRecorder(Broken(RATE), tmp_path / "take.wav").start()
    assert not list(tmp_path.iterdir())


def test_is_otherwise_the_sink_it_wraps(tmp_path):
    inner = free_clock()
    sink = WavRecorder(inner, tmp_path / "take.wav")
    assert not sink.active
    with sink:
        assert sink.active
        sink.stop()
        assert not sink.write(noise(10))
    assert (sink.rate, sink.latency_ms, sink.underruns, sink.fault) == (RATE, 10.0, 0, None)
    assert sink.describe() == f"{inner.describe()}; recording to {tmp_path / 'take.wav'}"
    assert soundfile.info(tmp_path / "take.wav").frames == 10


@pytest.mark.parametrize("samples", [0, 1, 2**29 - 20, 2**29 + 20, 2**33])
def test_the_header_holds_for_any_length(tmp_path, samples):
    path = tmp_path / "long.wav"
    header = wav_header(RATE, 2, samples)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + 8 * samples)
    info = soundfile.info(path)
    assert (info.frames, info.samplerate, info.channels) == (samples, RATE, 2)
    assert info.format == ("WAV" if len(header) - 8 + 8 * samples < 2**32 else "RF64")


def test_recording_needs_no_audio_library():
    modules = "synth.output.device, synth.output.recorder"
    code = f"import sys, {modules}; assert 'sounddevice' not in sys.modules"
    done = run(code)
    assert done.returncode == 0, done.stderr
