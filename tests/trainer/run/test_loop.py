"""A training run: stops cleanly, is never half saved, and refuses what is not its own."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainer.run.journal import Recent
from trainer.run.loop import Run
from trainer.run.objective import NothingKept
from trainer.run.plan import TrainingPlan
from trainer.run.weights import read_history, read_taught


@dataclass(frozen=True)
class LineConfig:
    inputs: int = 4
    slope: float = 1.0


class Line(nn.Linear):
    def __init__(self, config: LineConfig) -> None:
        super().__init__(config.inputs, 1)
        self.config = config


@dataclass(frozen=True)
class Points:
    x: Tensor


class LeastSquares(NothingKept, nn.Module):
    """A least-squares task with random inputs. before: called ahead of each step's loss;
    validate: what the held-out loss is said to be."""

    unit, seen = "frame", 8

    def __init__(self, config: LineConfig) -> None:
        super().__init__()
        self.network = Line(config)
        self.taught, self.session = {"loss_name": "squares"}, {}
        self.before: Callable[[], float | None] = lambda: None
        self.validate: Callable[[], float] = lambda: 0.5

    def draw(self, random: torch.Generator) -> Points:
        return Points(torch.randn(8, self.network.in_features, generator=random))

    def forward(self, batch: Points) -> Tensor:
        factor = self.before()
        x = batch.x
        loss = (self.network(x) - x.sum(1, keepdim=True)).square().mean()
        return loss if factor is None else loss * factor


def make_run(plan: TrainingPlan, config: LineConfig | None = None, rate: float = 0.1) -> Run:
    torch.manual_seed(plan.seed)
    task = LeastSquares(config or LineConfig())
    return Run(plan, task, [{"params": list(task.parameters()), "lr": rate}])


@pytest.fixture
def plan(tmp_path: Path) -> TrainingPlan:
    return TrainingPlan(
        data=tmp_path,
        run=tmp_path / "run",
        batch=8,
        frames=1,
        halve_every=100,
        iterations=60,
        device="cpu",
    )


def checkpoint(plan: TrainingPlan) -> dict:
    return torch.load(plan.run / "last.pt", weights_only=True)


def log(plan: TrainingPlan) -> list[dict]:
    return [json.loads(line) for line in (plan.run / "log.jsonl").read_text().splitlines()]


def test_a_run_leaves_a_checkpoint_averaged_weights_and_a_log(plan):
    run = make_run(plan)
    progress = run.go()
    assert (progress.iteration, progress.seen, progress.validation) == (60, 480, 0.5)
    assert sorted(p.name for p in plan.run.iterdir()) == [
        "best.safetensors",
        "last.pt",
        "log.jsonl",
        "weights.safetensors",
    ]
    kept, half = checkpoint(plan), load_file(plan.run / "weights.safetensors")
    assert not torch.equal(kept["average"]["weight"], kept["network"]["weight"])
    assert torch.equal(half["weight"], kept["average"]["weight"].half())
    report, last = log(plan)
    assert report["iteration"] == 50 and report["frames"] == 400 and report["loss"] > 0
    assert last["iteration"] == 60 and last["frames"] == 480 and last["validation"] == 0.5


def test_validation_sees_the_averages_and_training_goes_on_from_its_own(plan):
    run, seen = make_run(plan), []

    def validate() -> float:
        seen.append((run.network.weight.detach().clone(), run.network.training))
        return 0.0

    run.objective.validate = validate
    run.go()
    assert torch.equal(seen[0][0], run.average.weights["weight"]) and seen[0][1] is False
    assert torch.equal(run.network.weight, checkpoint(plan)["network"]["weight"])
    assert run.network.training


def test_ctrl_c_ends_with_a_checkpoint_and_a_second_one_while_saving_does_no_harm(plan):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run = make_run(plan)

    def step() -> None:
        if run.progress.iteration == 3:
            signal.raise_signal(signal.SIGINT)

    def validate() -> float:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        return 0.25

    run.objective.before, run.objective.validate = step, validate
    assert run.go().iteration == 4
    assert checkpoint(plan)["progress"][0] == 4
    assert torch.equal(checkpoint(plan)["network"]["weight"], run.network.weight)
    assert not list(plan.run.glob("*.part"))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(plan, tmp_path):
    whole, parts = make_run(plan), replace(plan, run=tmp_path / "parts")
    whole.go()
    for iterations in (7, 23, 60):
        run = make_run(replace(parts, iterations=iterations, seed=iterations))
        if iterations == 7:
            run = make_run(replace(parts, iterations=iterations))
        run.go()
    kept, again = checkpoint(plan), checkpoint(parts)
    for name in ("network", "average"):
        for key, value in kept[name].items():
            assert torch.equal(value, again[name][key])
    assert torch.equal(kept["random"], again["random"])
    assert kept["progress"][:2] == again["progress"][:2]


def test_a_session_without_time_saves_and_stops_and_the_next_goes_on(plan):
    run = make_run(replace(plan, max_minutes=0.0))
    assert run.go().iteration == 0
    assert checkpoint(plan)["progress"][0] == 0
    run = make_run(plan)
    assert run.go().iteration == 60


def test_a_run_that_diverges_keeps_its_last_checkpoint(plan):
    run = make_run(replace(plan, iterations=5))
    run.go()
    before = (plan.run / "last.pt").read_bytes(), (plan.run / "weights.safetensors").read_bytes()
    run = make_run(plan)
    run.objective.before = lambda: float("nan") if run.progress.iteration == 8 else None
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="diverged at iteration 8 .*loss nan"):
        run.go()
    assert signal.getsignal(signal.SIGINT) == handler
    after = (plan.run / "last.pt").read_bytes(), (plan.run / "weights.safetensors").read_bytes()
    assert after == before


def test_a_loss_that_is_not_finite_stops_a_run_whatever_its_gradient(tmp_path):
    recent = Recent(tmp_path)
    recent.add(1, torch.tensor(2.0), torch.tensor(1.0))
    with pytest.raises(ValueError, match="diverged at iteration 2 .loss nan, gradient 1.;"):
        recent.add(2, torch.tensor(float("nan")), torch.tensor(1.0))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "half", "foreign"])
def test_a_broken_checkpoint_is_told_in_one_line(plan, content):
    run = make_run(plan)
    run.go()
    path = plan.run / "last.pt"
    if content == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif content == "foreign":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="last.pt: not a whole checkpoint") as raised:
        make_run(plan)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (LineConfig(inputs=5), "last.pt: a checkpoint of another configuration"),
        (LineConfig(slope=2.0), "weights.safetensors: of another configuration .slope: 1.0"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(plan, config, complaint):
    run = make_run(plan)
    run.go()
    with pytest.raises(ValueError, match=complaint) as raised:
        make_run(plan, config)
    assert "\n" not in str(raised.value)


def test_a_run_of_before_configs_were_kept_goes_on(plan):
    run = make_run(replace(plan, iterations=5))
    run.go()
    weights = plan.run / "weights.safetensors"
    save_file(load_file(weights), weights)
    kept = checkpoint(plan)
    for group in kept["optimiser"]["param_groups"]:
        group["fused"] = None
    torch.save(kept, plan.run / "last.pt")
    run = make_run(plan)
    assert run.go().iteration == 60


def test_a_new_run_may_start_from_weights_and_warms_up(plan, tmp_path):
    first = make_run(plan)
    first.go()
    given = load_file(plan.run / "weights.safetensors")["weight"].float()
    init = plan.run / "weights.safetensors"
    second = make_run(replace(plan, run=tmp_path / "second", init=init, iterations=1, seed=5))
    assert torch.equal(second.network.weight, given)
    second.go()
    moved = (second.network.weight - given).abs().max()
    # Adam's first step is as long as its rate: a two-hundredth of 0.1.
    assert 0 < moved <= 0.1 / 200 * 1.001
    # A run that has a checkpoint goes on from there, whatever it once started from.
    third = make_run(replace(plan, run=tmp_path / "second", init=tmp_path / "gone.safetensors"))
    assert torch.equal(third.network.weight, second.network.weight)


def test_weights_that_do_not_fit_or_exist_are_refused(plan, tmp_path):
    wrong = tmp_path / "wrong.safetensors"
    save_file({"weight": torch.zeros(1, 9), "bias": torch.zeros(1)}, wrong)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    for path in (wrong, broken, tmp_path / "gone.safetensors"):
        with pytest.raises(ValueError, match=f"{path.name}: not weights of this network") as raised:
            make_run(replace(plan, init=path))
        assert "\n" not in str(raised.value)


def test_the_rate_warms_up_and_is_halved(plan):
    run = make_run(replace(plan, iterations=300))
    rates = []
    run.objective.before = lambda: rates.append(run.optimiser.param_groups[0]["lr"])
    run.go()
    assert rates[0] == pytest.approx(0.1 / 200) and rates[99] == pytest.approx(0.1 / 2)
    assert rates[100] == pytest.approx(0.1 / 2 * 101 / 200)
    assert rates[200] == pytest.approx(0.1 / 4)


def test_what_a_killed_session_left_is_removed(plan):
    make_run(replace(plan, iterations=5)).go()
    (plan.run / ".last.pt.1234.part").write_bytes(b"half")
    make_run(plan)
    assert not list(plan.run.glob(".*.part"))


def test_the_weights_of_the_lowest_validation_are_kept(plan):
    losses = iter([0.5, 0.3, 0.4])
    for iterations in (20, 40, 60):
        run = make_run(replace(plan, iterations=iterations))
        run.objective.validate = lambda: next(losses)
        assert run.go().validation == pytest.approx({20: 0.5, 40: 0.3, 60: 0.4}[iterations])
        if iterations == 40:
            lowest = load_file(plan.run / "weights.safetensors")
    best, latest = (plan.run / f"{name}.safetensors" for name in ("best", "weights"))
    assert torch.equal(load_file(best)["weight"], lowest["weight"])
    assert not torch.equal(load_file(latest)["weight"], lowest["weight"])
    assert read_taught(best) == {"iteration": 40, "loss_name": "squares"}
    assert read_taught(latest)["iteration"] == 60


def test_what_was_best_by_another_teaching_is_so_no_longer(plan):
    run = make_run(replace(plan, iterations=5))
    run.objective.validate = lambda: 0.1
    run.go()
    run = make_run(replace(plan, iterations=10))
    run.go()
    assert read_taught(plan.run / "best.safetensors")["iteration"] == 5
    task = LeastSquares(LineConfig())
    task.taught = {"loss_name": "squares", "predicted_share": 0.5}
    run = Run(plan, task, [{"params": list(task.parameters()), "lr": 0.1}])
    run.go()
    assert read_taught(plan.run / "best.safetensors")["iteration"] == 60


def test_another_loss_is_another_configuration(plan):
    make_run(replace(plan, iterations=5)).go()
    task = LeastSquares(LineConfig())
    task.taught = {"loss_name": "cubes"}
    with pytest.raises(ValueError, match="loss_name: squares there, cubes here"):
        Run(plan, task, [{"params": list(task.parameters()), "lr": 0.1}])


def test_a_resumed_run_takes_its_sessions_learning_rate(plan):
    make_run(replace(plan, iterations=30)).go()
    run = make_run(plan, rate=0.02)
    rates = []
    run.objective.before = lambda: rates.append(run.optimiser.param_groups[0]["lr"])
    run.go()
    assert rates == pytest.approx([0.02 * (i + 1) / 200 for i in range(30, 60)])


def test_checkpoints_come_as_often_as_asked(plan):
    run = make_run(replace(plan, iterations=6, checkpoint_minutes=0.0))
    sketched = []
    run.go(lambda folder, at: sketched.append((folder, at)), sketch_minutes=0.0)
    assert [line["iteration"] for line in log(plan) if "validation" in line] == [*range(1, 7), 6]
    assert sketched == [(plan.run / "sketches", at) for at in [*range(1, 7), 6]]


def test_tensorboard_is_asked_for_where_it_is_not_installed(plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match="--tensorboard: needs `pip install tensorboard`"):
        make_run(replace(plan, tensorboard=True))


def test_tensorboard_is_told_what_the_log_is(plan):
    pytest.importorskip("tensorboard")
    make_run(replace(plan, tensorboard=True)).go()
    assert list((plan.run / "tensorboard").glob("events*"))


def test_what_weights_have_seen_is_counted_on_by_a_run_that_begins_with_them(plan, tmp_path):
    first = make_run(replace(plan, iterations=20))
    first.go()
    weights = plan.run / "weights.safetensors"
    assert read_history(weights) == first.progress.history()
    assert read_history(weights)["seen"] == 20 * 8
    second = replace(plan, run=tmp_path / "second", init=weights, iterations=5)
    make_run(second).go()
    for iterations in (5, 15):
        make_run(replace(second, iterations=iterations)).go()
        history = read_history(second.run / "weights.safetensors")
        assert (history["iterations"], history["seen"]) == (20 + iterations, 8 * (20 + iterations))


def test_moments_of_other_weights_are_refused(plan):
    """As a reordered network would have them: Adam itself would write beyond their ends."""
    make_run(replace(plan, iterations=5)).go()
    whole = checkpoint(plan)
    state = whole["optimiser"]["state"]
    state[0], state[1] = state[1], state[0]
    torch.save(whole, plan.run / "last.pt")
    with pytest.raises(ValueError, match="a checkpoint of another configuration .moments"):
        make_run(plan)
