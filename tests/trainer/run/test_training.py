"""Both networks' training, tiny: exact to resume, moving every weight, and stopped by a signal."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from synth.mel import Analysis
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from synth.vocoders.wavenet.network import WaveNetConfig
from tests.trainer.tiny_data import FRAMES, HOP, INSTRUMENTS, SIZES, write_manifest
from tests.waiting import PROCESS_S
from trainer.data.dataset import DataSet
from trainer.mel2mel.losses import SpectralLoss
from trainer.mel2mel.settings import LossSettings, Mel2MelSettings, Mel2MelSizes
from trainer.mel2mel.training import LOOKAHEAD_SHARES, LOOKAHEADS, draw_lookaheads
from trainer.run.checkpoint import load_checkpoint
from trainer.run.weights import read_config, read_notes, read_taught
from trainer.wavenet.guesses import CONTEXT, guess, load_mel2mel
from trainer.wavenet.settings import WaveNetSettings, WaveNetSizes
from trainer.wavenet.training import WaveNetBatch

NETWORKS = ("mel2mel", "wavenet")
SETTINGS = {"mel2mel": Mel2MelSettings, "wavenet": WaveNetSettings}
LEADS_NOWHERE = {"layers.3.residual.weight", "layers.3.residual.bias"}
REPOSITORY = Path(__file__).parents[3]


def train(network: str, plan: Any, **settings: Any) -> dict[str, Any]:
    room = import_module(f"trainer.{network}.training")
    room.train(plan, SETTINGS[network](**{"sizes": SIZES[network]} | settings))
    return torch.load(plan.run / "last.pt", weights_only=True)


def check_equal(one: Any, other: Any) -> None:
    """The same, to the bit, all the way down."""
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            check_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            check_equal(a, b)
    else:
        assert one == other


@pytest.mark.parametrize("network", NETWORKS)
def test_an_interrupted_run_is_the_uninterrupted_one(network, plan):
    whole = train(network, plan(network, "whole", 6))
    train(network, plan(network, "parts", 2))
    train(network, plan(network, "parts", 4, max_minutes=0.0))
    # What a resumed run was first seeded with no longer matters.
    parts = train(network, plan(network, "parts", 6, seed=7))
    for part in ("network", "average", "optimiser", "schedule", "random"):
        check_equal(whole[part], parts[part])
    for kept in (whole, parts):
        iteration, seen, seconds, validation, best, *_ = kept["progress"]
        assert iteration == 6 and seconds > 0 and best <= validation == whole["progress"][3]
        assert seen == 6 * 3 * FRAMES[network] * (HOP if network == "wavenet" else 1)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_weight_learns(network, plan):
    first = train(network, plan(network, "run", 1, max_minutes=0.0))["network"]
    last = train(network, plan(network, "run", 4))["network"]
    idle = {name for name in first if torch.equal(first[name], last[name])}
    # Nothing comes after the last layer, so its residual path leads nowhere.
    assert idle == (LEADS_NOWHERE if network == "wavenet" else set())
    stated = read_config(plan(network, "run", 4).run / "weights.safetensors")
    sizes = SIZES[network].config() if network == "mel2mel" else asdict(SIZES[network])
    assert {name: stated[name] for name in sizes} == sizes


@pytest.mark.parametrize(("network", "iterations"), [("mel2mel", 150), ("wavenet", 150)])
def test_the_held_out_loss_falls(network, iterations, plan):
    first = train(network, plan(network, "run", 1))["progress"][3]
    last = train(network, plan(network, "run", iterations))["progress"][3]
    assert last < 0.9 * first


@pytest.mark.parametrize("embedding", [1, 3])
def test_mel2mel_without_templates_and_in_other_dimensions(plan, embedding):
    sizes = Mel2MelSizes(hidden=8, timbre_features=0, embedding=embedding)
    kept = train("mel2mel", plan("mel2mel", "plain", 2), sizes=sizes)
    assert kept["network"]["instruments.weight"].shape == (3, embedding)
    assert not [name for name in kept["network"] if name.startswith("templates")]


@pytest.mark.parametrize(
    ("network", "sizes", "complaint"),
    [
        (
            "mel2mel",
            Mel2MelSizes(hidden=9, timbre_features=1),
            "last.pt: a checkpoint of another conf",
        ),
        (
            "mel2mel",
            Mel2MelSizes(hidden=8, timbre_features=0),
            "last.pt: a checkpoint of another conf",
        ),
        ("wavenet", replace(SIZES["wavenet"], skip=16), "last.pt: a checkpoint of another conf"),
        ("wavenet", replace(SIZES["wavenet"], cycle=4), "another configuration .cycle: 2 there"),
    ],
)
def test_a_run_of_other_sizes_is_not_gone_on_with(plan, network, sizes, complaint):
    train(network, plan(network, "run", 1))
    with pytest.raises(ValueError, match=complaint):
        train(network, plan(network, "run", 2), sizes=sizes)


def test_a_run_of_before_there_were_wide_bands_goes_on(plan):
    asked = plan("mel2mel", "run", 1)
    train("mel2mel", asked)
    weights = asked.run / "weights.safetensors"
    notes = read_notes(weights)
    config = json.loads(notes["config"])
    assert config["analysis"].pop("wide_bands") == 0
    save_file(load_file(weights), weights, notes | {"config": json.dumps(config)})
    assert train("mel2mel", plan("mel2mel", "run", 2))["progress"][0] == 2


def test_a_network_may_start_from_anothers_weights(plan):
    first = plan("wavenet", "first", 3)
    train("wavenet", first)
    given = load_file(first.run / "weights.safetensors")
    kept = train(
        "wavenet",
        plan("wavenet", "second", 9, init=first.run / "weights.safetensors", max_minutes=0.0),
    )
    check_equal({k: v.half() for k, v in kept["network"].items()}, given)


def test_sigterm_stops_a_run_with_a_checkpoint(plan, data):
    asked = plan("mel2mel", "run", 1)
    flags = [f"--data={data}", f"--run={asked.run}", "--batch=3", "--frames=24"]
    flags += ["--hidden=8", "--timbre-features=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", "mel2mel", *flags],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        shown = b""
        while not re.search(rb" [1-9]\d*/1000000 ", shown):
            piece = os.read(process.stderr.fileno(), 4_096)
            assert piece, shown.decode()
            shown += piece
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=PROCESS_S)
    finally:
        process.kill()
    assert process.returncode == 0, rest.decode()
    kept = torch.load(asked.run / "last.pt", weights_only=True)
    done = kept["progress"][0]
    assert done >= 1
    assert train("mel2mel", plan("mel2mel", "run", done + 1))["progress"][0] == done + 1


@pytest.mark.parametrize("name", ["log-abs", "abs"])
def test_the_other_losses_fall_too(name, plan):
    loss = LossSettings(name)
    first = train("mel2mel", plan("mel2mel", "run", 1), loss=loss)["progress"][3]
    last = train("mel2mel", plan("mel2mel", "run", 60), loss=loss)["progress"][3]
    assert last < first
    taught = read_taught(plan("mel2mel", "run", 1).run / "weights.safetensors")
    assert taught == {
        "iteration": 60,
        "loss_name": name,
        "loss": SpectralLoss(name).in_words(fine=True),
        "patches": list(INSTRUMENTS),
    }
    with pytest.raises(ValueError, match=f"loss_name: {name} there, tanh-log-abs here"):
        train("mel2mel", plan("mel2mel", "run", 61))


def test_a_run_goes_on_with_its_own_instruments_only(data, plan, tmp_path):
    train("mel2mel", plan("mel2mel", "run", 1))
    other = shutil.copytree(data, tmp_path / "other")
    swapped = {"reed": 20, "string": 48, "bell": 14}
    write_manifest(other, swapped)
    weights = plan("mel2mel", "run", 1).run / "weights.safetensors"
    complaint = f"{weights}: of other instruments .number 2: bell there, string here."
    with pytest.raises(ValueError, match=complaint):
        train("mel2mel", plan("mel2mel", "run", 2, data=other))
    # Older weights do not say what they learnt.
    for path in (weights, weights.with_name("best.safetensors")):
        notes = read_notes(path)
        taught = {k: v for k, v in json.loads(notes["taught"]).items() if k != "patches"}
        save_file(load_file(path), path, notes | {"taught": json.dumps(taught)})
    best = load_checkpoint(weights.parent)["progress"].best
    kept = train("mel2mel", plan("mel2mel", "run", 2, data=other))
    assert kept["progress"][0] == 2 and kept["progress"][4] <= best
    assert read_taught(weights)["patches"] == list(swapped)


@pytest.mark.parametrize("frames", [1, 2])
def test_sequences_too_short_for_slopes_are_refused(plan, frames):
    asked = plan("mel2mel", "run", 1, frames=frames)
    with pytest.raises(ValueError, match=f"--frames: expected at least 3, got {frames}"):
        train("mel2mel", asked)
    assert not asked.run.exists()


def test_weights_of_the_heads_and_the_templates_rate_are_used(plan):
    frozen = train("mel2mel", plan("mel2mel", "frozen", 3), template_rate=0.0)["network"]
    first = train("mel2mel", plan("mel2mel", "first", 1, max_minutes=0.0))["network"]
    assert torch.equal(frozen["templates.base"], first["templates.base"])
    deaf = LossSettings(mel_weight=0.0)
    mute = train("mel2mel", plan("mel2mel", "deaf", 3), loss=deaf)["network"]
    assert torch.equal(mute["mel.weight"], first["mel.weight"])
    assert not torch.equal(mute["fine.weight"], first["fine.weight"])


def test_mel2mel_without_a_fine_head_in_ten_dimensions(plan):
    sizes = Mel2MelSizes(hidden=8, embedding=10, no_fine=True)
    kept = train("mel2mel", plan("mel2mel", "paper", 2), sizes=sizes)
    assert not [name for name in kept["network"] if name.startswith(("fine", "templates"))]
    table = kept["network"]["instruments.weight"]
    assert table.shape == (3, 10)
    torch.testing.assert_close(table.norm(dim=1), torch.ones(3), atol=0.05, rtol=0)


def test_lookaheads_are_drawn_for_each_sequence_by_their_shares():
    random = torch.Generator().manual_seed(0)
    batches = [draw_lookaheads(20, random) for _ in range(4000)]
    assert max(len(set(batch)) for batch in batches) == len(LOOKAHEADS)
    drawn = [lookahead for batch in batches for lookahead in batch]
    for lookahead, share in zip(LOOKAHEADS, LOOKAHEAD_SHARES, strict=True):
        assert drawn.count(lookahead) / len(drawn) == pytest.approx(share, abs=0.015)


def test_a_wavenet_goes_on_with_predictions_as_exactly_as_without(plan):
    notes = plan("mel2mel", "notes", 3)
    train("mel2mel", notes)
    guided = {"mel2mel": notes.run, "predicted_share": 0.5}
    whole = train("wavenet", plan("wavenet", "whole", 6), **guided)
    train("wavenet", plan("wavenet", "parts", 2), **guided)
    parts = train("wavenet", plan("wavenet", "parts", 6, seed=7), **guided)
    for part in ("network", "average", "optimiser", "schedule", "random"):
        check_equal(whole[part], parts[part])
    alone = train("wavenet", plan("wavenet", "alone", 6))
    assert not torch.equal(alone["network"]["out.weight"], whole["network"]["out.weight"])
    # Teacher-forced first, then on predictions.
    train("wavenet", plan("wavenet", "alone", 8), **guided)
    log = (plan("wavenet", "alone", 8).run / "log.jsonl").read_text().splitlines()
    assert [json.loads(line).get("predicted_share") for line in log] == [None, 0.5]


def test_predictions_are_those_of_the_network_in_play(data, toy_bank, plan):
    network = train_mel2mel(plan)
    held_out = DataSet(data, "train", 16, CONTEXT)
    lookaheads = (0, 4, None)
    batch = held_out.draw(3, 1024, torch.Generator().manual_seed(1))
    guessed = guess(network, batch, [0, 1, 2], lookaheads)
    before = CONTEXT[0]
    for row, lookahead in enumerate(lookaheads):
        embedding = network.instruments(batch.instrument[row : row + 1])[:, None]
        own = batch.roll[row : row + 1], embedding, lookahead
        heard = network(*own, batch.keys.at(slice(row, row + 1))).mel[:, before : before + 16]
        torch.testing.assert_close(guessed[row : row + 1], heard)
    with pytest.raises(ValueError, match="mel2mel was not trained on this data set"):
        load_mel2mel(toy_bank, [*INSTRUMENTS], held_out.analysis)
    with pytest.raises(ValueError, match="neither a bank nor a run of mel2mel"):
        load_mel2mel(data, [*INSTRUMENTS], held_out.analysis)


def train_mel2mel(plan: Any) -> Mel2Mel:
    asked = plan("mel2mel", "notes", 2)
    train("mel2mel", asked)
    return load_mel2mel(asked.run, [*INSTRUMENTS], Analysis())


def test_predictions_need_a_network(plan):
    with pytest.raises(ValueError, match="--predicted-share: needs --mel2mel"):
        train("wavenet", plan("wavenet", "run", 1), predicted_share=0.5)


def test_a_wavenet_sketches_what_it_can(plan):
    asked = plan("wavenet", "run", 2)
    train("wavenet", asked, clip_every_minutes=0.0)
    assert (asked.run / "sketches" / "0000002.wav").stat().st_size > 100_000


def test_pieces_of_a_batch_are_the_batch(data):
    held_out = DataSet(data, "val", 4, CONTEXT)
    sequences = held_out.draw(5, 1024, torch.Generator().manual_seed(0))
    batch = WaveNetBatch(sequences, (0, 3, 4), (None, 2, 8))
    pieces = [piece for piece, _ in batch.pieces(2)]
    assert [piece.predicted for piece in pieces] == [(0,), (1,), (0,)]
    assert [piece.lookaheads for piece in pieces] == [(None,), (2,), (8,)]
    assert torch.equal(torch.cat([p.sequences.audio for p in pieces]), sequences.audio)
    assert [share for _, share in batch.pieces(2)] == [0.4, 0.4, 0.2]


def test_the_usual_sizes_are_those_of_the_networks_configs():
    config = Mel2MelConfig()
    for name in ("embedding", "hidden", "fine", "timbre_features"):
        assert getattr(config, name) == Mel2MelSizes().config()[name]
    for field in fields(WaveNetSizes):
        assert getattr(WaveNetConfig(), field.name) == field.default


def test_key_templates_need_the_fine_head():
    assert Mel2MelSizes(no_fine=True).config()["timbre_features"] == 0
    with pytest.raises(ValueError, match="--timbre-features: expected 0 with --no-fine"):
        Mel2MelSizes(no_fine=True, timbre_features=3).config()
