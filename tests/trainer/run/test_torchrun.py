"""Several processes under torchrun: the run that one process with all the rows would make."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from benchmarks.rigs.batches import raylets
from common.tasks.on_ray import has_ray
from tests.trainer.test_main import TINY
from tests.waiting import PROCESS_S
from trainer.__main__ import main

REPOSITORY = Path(__file__).parents[3]
ITERATIONS = 50
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


@contextmanager
def torchrun(network: str, *flags: str) -> Iterator[subprocess.Popen]:
    """Two processes on this machine's processor, for ten minutes at most."""
    # Without --, torchrun takes --run for an abbreviation of a flag of its own.
    command = [*TORCHRUN, "-m", "--", "trainer", network, *flags]
    process = subprocess.Popen(
        [*command, "--max-minutes=10"],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        process.terminate()  # killed, it would leave its workers behind
        process.communicate(timeout=PROCESS_S)


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.parametrize("network", TINY)
def test_two_processes_learn_as_one_with_twice_the_batch(network, data, tmp_path):
    # Slow enough that a weight that hardly matters does not wander by itself.
    rate = ["--template-rate=0.01"] if network == "mel2mel" else []
    flags = [f"--data={data}", f"--iterations={ITERATIONS}", "--device=cpu", *rate, *TINY[network]]
    one, two = tmp_path / "one", tmp_path / "two"
    with torchrun(network, *flags, f"--run={two}", "--batch=8") as process:
        assert main([network, *flags, f"--run={one}", "--batch=16"]) == 0
        _, shown = process.communicate(timeout=PROCESS_S)
        assert process.returncode == 0, shown.decode()
    assert len(losses(two)) == ITERATIONS // 50
    assert losses(two) == pytest.approx(losses(one), rel=5e-3)
    single, shared = (torch.load(run / "last.pt", weights_only=True) for run in (one, two))
    # Both have seen the same number, and drawn the same sequences.
    assert single["progress"][:2] == shared["progress"][:2]
    assert torch.equal(single["random"], shared["random"])
    for name, value in single["average"].items():
        # By and large: a weight that hardly matters may wander by itself.
        apart = (shared["average"][name] - value).square().mean().sqrt()
        assert apart < 2e-2, name
    validations = [kept["progress"][3] for kept in (single, shared)]
    assert validations[1] == pytest.approx(validations[0], rel=1e-2)


def test_a_signal_to_one_process_stops_all_with_one_checkpoint(data, tmp_path):
    flags = [f"--data={data}", f"--run={tmp_path}", "--batch=3", "--device=cpu"]
    with torchrun("mel2mel", *flags, *TINY["mel2mel"]) as process:
        shown = b""
        # After a common step both can take the signal.
        while not re.search(rb" [1-9]\d*/1000000 ", shown):
            piece = os.read(process.stderr.fileno(), 4_096)
            assert piece, shown.decode()
            shown += piece
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PROCESS_S)
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    assert kept["progress"][0] >= 1
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["device"] == "2 x cpu" and last["iteration"] == kept["progress"][0]


def test_ray_starts_torchrun_on_two_nodes_that_read_a_share_each(data, tmp_path):
    if not has_ray():
        pytest.skip("Ray is not installed")
    flags = [f"--data={data}", f"--run={tmp_path}", "--batch=3", "--device=cpu", "--shards"]
    with raylets(2) as cluster:
        done = subprocess.run(
            [sys.executable, "examples/train_on_ray.py", "mel2mel", *flags]
            + ["--iterations=10", *TINY["mel2mel"]],
            cwd=REPOSITORY,
            env=os.environ | {"OMP_NUM_THREADS": "1", "RAY_ADDRESS": cluster.address},
            capture_output=True,
            text=True,
            timeout=PROCESS_S,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["device"] == "2 x cpu" and last["iteration"] == 10


def test_two_processes_share_and_leave_no_thread_behind(tmp_path):
    """A thread of the process group that outlives the interpreter aborts it now and then."""
    script = tmp_path / "two.py"
    script.write_text(
        dedent("""
        import time
        from pathlib import Path
        import torch
        from torch import nn
        from trainer.run.machine import at_work

        def threads():
            tasks = Path("/proc/self/task")
            return len(list(tasks.iterdir())) if tasks.exists() else 0

        before = threads()
        with at_work("cpu", 1) as machine:
            module = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1, bias=False))
            nn.init.constant_(module[0].weight, 2.0 + machine.rank)
            machine.agree(module)
            for step in range(20):
                module.zero_grad()
                module[0](torch.tensor([1.0 + machine.rank])).sum().backward()
                machine.share_gradients(module)
            assert module[0].weight.item() == 2, module[0].weight
            assert module[0].weight.grad.item() == 1.5, module[0].weight.grad
            assert module[1].weight.grad is None
            assert machine.any(machine.rank == 1) and not machine.any(False)
            assert machine.mean(torch.tensor(1.0 + machine.rank)).item() == 1.5
        # A thread that has been joined may be seen a moment longer.
        deadline = time.monotonic() + 60
        while threads() != before:
            assert time.monotonic() < deadline, threads()
            time.sleep(0.01)
        """)
    )
    done = subprocess.run(
        [*TORCHRUN, str(script)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=PROCESS_S,
    )
    assert done.returncode == 0, done.stderr
