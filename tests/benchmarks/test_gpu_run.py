"""The prepared GPU run: its commands are ones that there are, and it says when there is no GPU."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", gpu_run.STEPS)
def test_every_step_can_be_run(name, tmp_path):
    kind, *rest = gpu_run.command(name, tmp_path)[2:]
    if kind == "pytest":
        assert (ROOT / rest[-1]).is_file()
    elif kind == "benchmarks":
        parser = argparse.ArgumentParser()
        parser.add_argument("--json", type=Path)
        import_module(f"benchmarks.measures.{rest[0]}").add_flags(parser)
        assert parser.parse_args(rest[1:]).json == tmp_path / f"{name}.json"
    else:
        assert callable(import_module(kind).main) and not rest


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so(tmp_path, capsys):
    assert gpu_run.main([str(tmp_path / "out")]) == 2
    assert "needs an NVIDIA GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_folder_it_says_how(capsys):
    assert gpu_run.main([]) == 2
    assert "gpu_run OUT" in capsys.readouterr().err
