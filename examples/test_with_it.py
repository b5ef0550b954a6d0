"""Drive a server from a test, without a sound card: what was played is in the recording."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from pythonosc.udp_client import SimpleUDPClient

SERVER = Path(__file__).resolve().parents[1] / "run_server.py"
ADDRESS = "127.0.0.1:9765"

with tempfile.TemporaryDirectory() as folder:
    take = Path(folder) / "take.wav"
    flags = ["--audio", "none", "--midi", "none", "--midi-map", "none", "--osc", ADDRESS]
    process = subprocess.Popen(
        [sys.executable, SERVER, *flags, "--record", take], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.startswith("ready"):
            break
    host, _, port = ADDRESS.partition(":")
    server = SimpleUDPClient(host, int(port))
    server.send_message("/part/1/note", [69, 100])
    time.sleep(1.0)
    server.send_message("/part/1/note", [69, 0])
    process.terminate()
    process.wait()
    sound, rate = soundfile.read(take)

level = np.abs(sound).max()
assert level > 0.01, "no sound"
print(f"{len(sound) / rate:.1f} s recorded, peak {level:.3f}")
