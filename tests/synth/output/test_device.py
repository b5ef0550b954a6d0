"""The device sink on a real sound server: JACK with its dummy driver, in real time.

Every test has its own jackd, and plays from a process of its own: PortAudio looks for devices
once in a process, and one whose server died cannot be used again.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.jack_server import NAME
from tests.waiting import PATIENCE_S, PROCESS_S

RATE = 48_000
SPARE_MS = 100.0
"""What of a busy machine's lateness is not to be heard."""
WAIT = ["jack_wait", "-w", "-t", f"{PATIENCE_S:.0f}"]
needs_jack = pytest.mark.skipif(
    not all(map(shutil.which, ["jackd", "jack_wait", "jack_capture"])),
    reason="needs jackd, jack_wait and jack_capture (Debian: jackd2, jack-tools, jack-capture)",
)
ENVIRONMENT = {
    **os.environ,
    "JACK_NO_AUDIO_RESERVATION": "1",
    "JACK_DEFAULT_SERVER": NAME,
    "JACK_NO_START_SERVER": "1",
}

PLAY = """
import json, sys
import numpy as np
from synth.output.device import DeviceSink

def sine(samples, rate=16_000):
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)
    return np.stack([wave, -wave], 1).astype(np.float32)

def play(sink, samples, block=128):
    sound = sine(samples)
    return all(sink.write(sound[s : s + block]) for s in range(0, samples, block))
"""


@pytest.fixture
def jackd() -> Iterator[subprocess.Popen]:
    command = ["jackd", "--realtime", "--sync", "-n", NAME]
    command += ["-d", "dummy", "-r", str(RATE), "-p", "512"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": ENVIRONMENT}
    server = subprocess.Popen(command, **quiet)
    try:
        subprocess.run(WAIT, check=True, **quiet)
        yield server
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def python(code: str, *args: object) -> subprocess.Popen:
    command = [sys.executable, "-c", PLAY + code, *map(str, args)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=ENVIRONMENT, **pipes)


def answer(process: subprocess.Popen) -> dict:
    """What the process printed last, as JSON, once it has ended well."""
    out, errors = process.communicate(timeout=PROCESS_S)
    assert process.returncode == 0, errors
    return json.loads(out.splitlines()[-1])


def capture(path: Path) -> subprocess.Popen:
    """Record what reaches the sound card, from now on."""
    command = ["jack_capture", "--daemon", "-b", "FLOAT", "-c", "2"]
    command += ["-d", f"{PROCESS_S:.0f}", str(path)]
    return subprocess.Popen(command, env=ENVIRONMENT)


@needs_jack
@pytest.mark.parametrize("block", [128, 1_000])
def test_a_sine_reaches_the_sound_card_whole(jackd, tmp_path, block):
    recording = capture(tmp_path / "heard.wav")
    code = """
import subprocess
from tests.waiting import wait_until

def is_captured():
    listed = ["jack_lsp", "-c", "jack_capture"]
    sides = subprocess.run(listed, capture_output=True, text=True).stdout.count("PortAudio")
    return sink.write(np.zeros((1_000, 2), np.float32)) and sides == 2

with DeviceSink(16_000, "system", spare_ms=float(sys.argv[2])) as sink:
    # jack_capture taps the left side some time before the right, once it sees a player.
    wait_until(is_captured)
    # Nor may one long block keep the latency up for good.
    took = sink.write(np.zeros((8_000, 2), np.float32))
    took = took and play(sink, 40_000, block=int(sys.argv[1]))
    print(json.dumps({
        "took": took, "active": sink.active, "rate": sink.rate, "fault": sink.fault,
        "underruns": sink.underruns, "latency_ms": sink.latency_ms, "line": sink.describe(),
    }))
"""
    told = answer(python(code, block, SPARE_MS))
    recording.send_signal(signal.SIGINT)
    recording.wait(PATIENCE_S)
    assert told["took"] and told["active"] and told["fault"] is None
    assert told["rate"] == RATE
    # Resampler 15 ms; a ring of a buffer and of what is spare; the buffer after it; JACK's own.
    full_ms = 15 + 512 / 48 + SPARE_MS + 512 / 48 + 512 / 48
    # What room is left when a block ends is less than a buffer, which is as one block falls.
    assert full_ms - 512 / 48 < told["latency_ms"] < full_ms + 0.1
    assert told["line"].startswith("system (JACK Audio Connection Kit), 2 channels at 48000 Hz")

    heard, rate = soundfile.read(tmp_path / "heard.wav")
    assert rate == RATE
    sounding, right = (np.flatnonzero(np.abs(side) > 1e-4) for side in heard.T)
    assert len(sounding) > 2 * RATE
    assert (sounding[0], sounding[-1]) == (right[0], right[-1])
    # Neither the sine's abrupt start nor the fade at its end clicks.
    assert np.abs(np.diff(heard, axis=0)).max() < 0.5 * 2 * np.pi * 440 / RATE + 0.01
    steady = heard[sounding[0] + 3_000 : sounding[-1] - 3_000]
    angle = 2 * np.pi * 440 * np.arange(len(steady)) / RATE
    turn = np.exp(-1j * angle)
    # A second of it must be the sine itself to -90 dB; all of it, if nothing was late.
    length = len(steady) if told["underruns"] == 0 else RATE
    fits = [misfit(steady[s : s + length, 0], turn[:length]) for s in range(0, RATE, RATE // 4)]
    assert min(fits) < 3e-5
    np.testing.assert_allclose(steady[:, 1], -steady[:, 0], atol=1e-6)


def misfit(sound: np.ndarray, turn: np.ndarray) -> float:
    """The largest distance of sound from a sine of amplitude 0.5 and the pitch of `turn`, of any
    phase; infinite where none is near it, as where a gap is part of it."""
    turn = turn[: len(sound)]
    basis = np.stack([turn.real, turn.imag], 1)
    fitted, *_ = np.linalg.lstsq(basis, sound, rcond=None)
    if abs(np.hypot(*fitted) - 0.5) > 0.005:
        return math.inf
    return np.abs(sound - basis @ fitted).max()


@needs_jack
@pytest.mark.parametrize("how", ["terminated", "frozen"])
def test_a_sound_server_that_dies_hangs_nothing(jackd, how):
    code = """
with DeviceSink(16_000, "system") as sink:
    assert play(sink, 8_000)
    print("playing", flush=True)
    play(sink, 10**6)
    again = sink.write(sine(128))
    active = sink.active
    sink.close()
print(json.dumps({"again": again, "active": active, "fault": sink.fault}))
"""
    player = python(code)
    assert player.stdout.readline() == "playing\n"
    jackd.terminate() if how == "terminated" else jackd.send_signal(signal.SIGSTOP)
    try:
        out, errors = player.communicate(timeout=PROCESS_S)
    finally:
        jackd.send_signal(signal.SIGCONT)
    assert player.returncode == 0, errors
    told = json.loads(out)
    problem = "has stopped" if how == "terminated" else "asks for no more sound"
    assert told["fault"] == f"audio device 'system' {problem}"
    assert not told["again"] and not told["active"]


@needs_jack
def test_a_waiting_write_ends_when_another_thread_stops_it(jackd):
    code = """
import threading
sink = DeviceSink(16_000, "system")
before = sink.write(sine(128))
with sink:
    assert sink.write(sine(1_600))
    answers = []
    writer = threading.Thread(target=lambda: answers.append(sink.write(sine(16_000 * 60))))
    writer.start()
    sink.stop()
    writer.join(60)
after = sink.write(sine(128))
sink.close()
print(json.dumps([before, answers, after, sink.active, sink.fault]))
"""
    assert answer(python(code)) == [False, [False], False, False, None]


@needs_jack
def test_devices_are_found_by_index_and_name_or_listed(jackd, tmp_path):
    recording = capture(tmp_path / "heard.wav")
    subprocess.run(WAIT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
    code = """
from player.devices import about, name
from synth.output.portaudio import find_device, load_portaudio, output_devices
portaudio = load_portaudio()
devices = output_devices(portaudio)
told = {"list": [f"{name(d)}: {about(d)}" for d in devices]}
# A machine may have other devices, and another default.
at = next(d.index for d in devices if d.name == "system")
told["at"] = at
for wanted in [at, str(at), "SYSTEM", "syst", "system (jack audio connection kit)"]:
    assert find_device(portaudio, wanted).name == "system", wanted
default = next((d for d in devices if d.default), devices[0])
assert find_device(portaudio, "auto") == default
for name, arguments in {
    "unknown": ["harpsichord"], "empty": [""], "index": [99], "rate": ["system", 44_100]
}.items():
    try:
        DeviceSink(16_000, *arguments)
    except ValueError as error:
        told[name] = str(error)
print(json.dumps(told))
"""
    try:
        told = answer(python(code))
    finally:
        recording.terminate()
        recording.wait(PATIENCE_S)
    line = "system (JACK Audio Connection Kit): 2 channels, 48000 Hz"
    assert any(told_line.startswith(line) for told_line in told["list"])
    for wanted, about in {"unknown": "'harpsichord'", "empty": "''", "index": "99"}.items():
        problem = f"audio device {about}: unknown; choose auto, none, or one of: "
        assert told[wanted].startswith(problem)
        assert f"{told['at']} system (JACK Audio Connection Kit)" in told[wanted]
    assert told["rate"] == "audio device 'system': cannot play at 44100 Hz; it takes 48000"


@needs_jack
def test_a_part_of_two_names_is_not_guessed_at(jackd):
    code = """
import jack
from synth.output.portaudio import find_device, load_portaudio
strangers = [jack.Client(name) for name in ("violin one", "violin two")]
for stranger in strangers:
    stranger.inports.register("in")
portaudio = load_portaudio()
assert find_device(portaudio, "violin two").channels == 1
try:
    find_device(portaudio, "violin")
except ValueError as error:
    print(json.dumps(str(error)))
"""
    pytest.importorskip("jack", reason="needs JACK-Client")
    told = answer(python(code))
    assert told.startswith("audio device 'violin': fits several; choose auto, none, or one of: ")
    assert "violin one" in told and "violin two" in told and "system" not in told


def test_a_machine_without_portaudio_is_told_what_to_install():
    # The system's view of a missing library, made before sounddevice looks for it.
    code = """
import ctypes.util
ctypes.util.find_library = lambda name: None
try:
    DeviceSink(16_000)
except OSError as error:
    print(json.dumps(str(error)))
"""
    told = answer(python(code))
    assert "PortAudio library is missing" in told
    assert "apt install libportaudio2" in told


def test_a_python_without_sounddevice_is_told_what_to_install():
    code = """
sys.modules["sounddevice"] = None
try:
    DeviceSink(16_000)
except OSError as error:
    print(json.dumps(str(error)))
"""
    assert "pip install sounddevice" in answer(python(code))
