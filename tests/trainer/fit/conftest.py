"""Two small banks and a score to fit to."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.torch import save_file

from daw_bridge.events import Event, NoteOff, NoteOn
from synth.bank.bank import Bank, load_bank
from synth.mel2mel.network import KNOBS
from tests.toy_bank import ANALYSIS, make_moving_mel2mel
from trainer.data.score import to_message
from trainer.fit.score import Score, make_score
from trainer.fit.transcription import Note, write_midi

NOTE_S = 0.3


def tune(seconds: float, seed: int = 0) -> list[Event]:
    """Two voices of random keys, timed in samples."""
    random, events = np.random.default_rng(seed), []
    for number in range(int(seconds / NOTE_S)):
        on = round((number * NOTE_S + float(random.uniform(0, 0.1))) * ANALYSIS.rate)
        off = on + round(float(random.uniform(0.1, 0.2)) * ANALYSIS.rate)
        for key in (int(random.integers(45, 60)), int(random.integers(62, 80))):
            events.append(NoteOn(on, 1, key, int(random.integers(50, 120))))
            events.append(NoteOff(off, 1, key))
    return sorted(events, key=lambda e: (e.time, isinstance(e, NoteOn)))


@pytest.fixture(scope="session")
def score() -> Score:
    """Eight seconds of a tune."""
    return make_score(tune(8.0), ANALYSIS)


@pytest.fixture(scope="session")
def midi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The score as a MIDI file."""
    path = tmp_path_factory.mktemp("scores") / "tune.mid"
    down: dict[int, tuple[float, int]] = {}
    notes = []
    for event in tune(8.0):
        seconds, message = event.time / ANALYSIS.rate, to_message(event)
        if message.type == "note_on":
            down[message.note] = seconds, message.velocity
        else:
            onset, velocity = down.pop(message.note)
            notes.append(Note(onset, seconds, message.note, velocity))
    write_midi(path, notes)
    return path


@pytest.fixture(scope="session")
def toy(toy_bank: Path) -> Bank:
    """The toy bank, whose knob moves the embedding itself."""
    return load_bank(toy_bank)


@pytest.fixture(scope="session")
def knobby(toy_bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Much the same bank, with movement and all six knobs behind its embedding."""
    folder = shutil.copytree(toy_bank, tmp_path_factory.mktemp("banks") / "knobby")
    net = make_moving_mel2mel()
    # Knobs that raise bands act through the heads, which are zero until they are taught.
    net.mel.weight.normal_(std=0.3)
    net.fine.weight.normal_(std=0.3)
    content = yaml.safe_load((folder / "bank.yaml").read_text())
    content["mel2mel"] |= {"decay_bands": 5, "blend": 1, "movement": 1}
    size = content["mel2mel"]["embedding"]
    ways = {name: [0.0] * (size + len(KNOBS)) for name in KNOBS}
    for place, way in enumerate(ways.values(), size):
        way[place] = 2.0
    content["knobs"] = ways
    (folder / "bank.yaml").write_text(yaml.safe_dump(content))
    weights = {key: tensor.half() for key, tensor in net.state_dict().items()}
    save_file(weights, folder / "mel2mel.safetensors")
    return load_bank(folder)
