"""`--check`: what it tries is tried for real, and what is wrong is said with what to do."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from common.flags import read_flags
from player.check import Finding, check
from player.flags import LiveFlags
from tests.toy_bank import make_toy_bank


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Path:
    return make_toy_bank(tmp_path_factory.mktemp("check") / "toy")


def checked(bank: Path, folder: Path, *more: str) -> tuple[bool, dict[str, list[str]]]:
    """Whether it is ready, and the lines of each name."""
    files = [f"{folder}/patches", f"{folder}/desks", f"{folder}/map.yaml"]
    arguments = ["--bank", str(bank), "--patches", files[0], "--desk", files[1]]
    arguments += ["--midi-map", files[2], "--midi", "none", "--audio", "none", *more]
    said: list[str] = []
    ready = check(read_flags(LiveFlags, arguments, "test"), said.append)
    lines: dict[str, list[str]] = {}
    for line in said[:-1]:
        lines.setdefault(line.split()[1], []).append(line)
    return ready, lines


def test_a_machine_that_is_ready(bank, tmp_path):
    way = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None
    ready, lines = checked(bank, tmp_path, "--osc", "127.0.0.1:0", "--vocoder", "spectral")
    assert {"bank", "files", "osc", "midi", "sound", "priority", "vocoder", "speed"} <= set(lines)
    for name in ("bank", "files", "osc", "midi", "sound", "vocoder"):
        assert lines[name][0].startswith("ok "), lines[name]
    changes = [line for some in lines.values() for line in some if line.startswith("CHANGE")]
    assert ready == (not changes)
    if way is not None:
        assert os.sched_getscheduler(0) == way


def test_what_is_wrong_is_said_with_what_to_do(bank, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, socket.socket() as served:
        for one in (taken, served):
            one.bind(("127.0.0.1", 0))
        served.listen()
        port, http = (one.getsockname()[1] for one in (taken, served))
        more = ["--osc", f"127.0.0.1:{port}", "--audio", "no such device", "--midi", "no such port"]
        more += ["--http", f"127.0.0.1:{http}"]
        ready, lines = checked(tmp_path / "none", file / "below", *more)
    assert not ready
    for name, said in (
        ("bank", "--bank"),
        ("files", "make it writable"),
        ("osc", f"127.0.0.1:{port}"),
        ("page", "name another with --http"),
        ("midi", "--midi"),
    ):
        assert lines[name][0].startswith("CHANGE") and said in lines[name][0]
    ready, lines = checked(bank, tmp_path, *more)
    assert not ready and "--audio" in lines["sound"][0]


def test_a_finding_cannot_write_to_the_terminal():
    assert Finding("bank", "a\x1b[31m", "b").line() == f"CHANGE bank     a\\x1b[31m\n{'':<16}b"
