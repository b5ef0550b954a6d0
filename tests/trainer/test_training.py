"""Both networks' training, tiny: exact to resume, moving every weight, and stopped by a signal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.trainer.tiny_data import FRAMES, HOP, SIZES
from trainer.weights import read_config

NETWORKS = ("mel2mel", "wavenet")
LEADS_NOWHERE = {"layers.3.residual.weight", "layers.3.residual.bias"}
REPOSITORY = Path(__file__).parents[2]


def train(network: str, plan: Any) -> dict[str, Any]:
    import_module(f"trainer.{network}").train(plan)
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
        iteration, seen, seconds, validation, best = kept["progress"]
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
    assert {name: stated[name] for name in SIZES[network]} == SIZES[network]


@pytest.mark.parametrize(("network", "iterations"), [("mel2mel", 150), ("wavenet", 150)])
def test_the_held_out_loss_falls(network, iterations, plan):
    first = train(network, plan(network, "run", 1))["progress"][3]
    last = train(network, plan(network, "run", iterations))["progress"][3]
    assert last < 0.9 * first


@pytest.mark.parametrize("embedding", [1, 3])
def test_mel2mel_without_templates_and_in_other_dimensions(plan, embedding):
    sizes = {"hidden": 8, "timbre_features": 0, "embedding": embedding}
    kept = train("mel2mel", plan("mel2mel", "plain", 2, sizes=sizes))
    assert kept["network"]["instruments.weight"].shape == (3, embedding)
    assert not [name for name in kept["network"] if name.startswith("templates")]


@pytest.mark.parametrize(
    ("network", "sizes", "complaint"),
    [
        ("mel2mel", {"hidden": 9, "timbre_features": 1}, "last.pt: a checkpoint of another conf"),
        ("mel2mel", {"hidden": 8, "timbre_features": 0}, "last.pt: a checkpoint of another conf"),
        ("wavenet", SIZES["wavenet"] | {"skip": 16}, "last.pt: a checkpoint of another conf"),
        ("wavenet", SIZES["wavenet"] | {"cycle": 4}, "another configuration .cycle is 2 there"),
    ],
)
def test_a_run_of_other_sizes_is_not_gone_on_with(plan, network, sizes, complaint):
    train(network, plan(network, "run", 1))
    with pytest.raises(ValueError, match=complaint):
        train(network, plan(network, "run", 2, sizes=sizes))


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
    told = plan("mel2mel", "run", 1)
    flags = [f"--data={data}", f"--run={told.run}", "--batch=3", "--frames=24"]
    flags += ["--hidden=8", "--timbre-features=1"]
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
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, rest.decode()
    kept = torch.load(told.run / "last.pt", weights_only=True)
    done = kept["progress"][0]
    assert done >= 1
    assert train("mel2mel", plan("mel2mel", "run", done + 1))["progress"][0] == done + 1
