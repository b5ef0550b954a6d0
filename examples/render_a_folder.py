"""Render every MIDI file of a folder with two patches: render_a_folder.py FOLDER [OUT]."""

import subprocess
import sys
from pathlib import Path

SERVER = Path(__file__).resolve().parents[1] / "run_server.py"
PATCHES = ("grand-piano", "vibraphone")

if len(sys.argv) < 2:
    raise SystemExit(__doc__)
folder = Path(sys.argv[1])
out = Path(sys.argv[2]) if len(sys.argv) > 2 else folder
out.mkdir(exist_ok=True)
for song in sorted(folder.glob("*.mid")):
    for patch in PATCHES:
        target = out / f"{song.stem} - {patch}.wav"
        command = [sys.executable, SERVER, "render", song, target, "--patch", patch]
        subprocess.run(command, check=True)
