"""The command line: what it takes, what it refuses, and how soon it answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from common.flags import read_flags
from page.address import HttpAddress
from player.flags import DEFAULT_BANK, LiveFlags, RenderFlags
from tests.server import run


def live(*arguments: str) -> LiveFlags:
    return read_flags(LiveFlags, arguments, "run_server.py")


def render(*arguments: str) -> RenderFlags:
    return read_flags(RenderFlags, arguments, "run_server.py render")


@pytest.mark.parametrize(
    "text, address",
    [
        ("127.0.0.1:9000", ("127.0.0.1", 9000)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:1", ("localhost", 1)),
        ("none", None),
    ],
)
def test_an_osc_address_is_host_and_port(text, address):
    assert live("--osc", text).osc_address() == address


@pytest.mark.parametrize("text", ["9000", ":9000", "host:", "host:-1", "host:65536", "host:a"])
def test_what_is_no_osc_address_is_refused(text):
    with pytest.raises(ValueError, match=f"^--osc: expected HOST:PORT or none, got '{text}'$"):
        live("--osc", text).osc_address()


@pytest.mark.parametrize("text, seconds", [("auto", None), ("never", None), ("1.5", 1.5)])
def test_a_silence_after_which_keys_are_released(text, seconds):
    assert live("--osc-silence", text).osc_silence_s() == seconds


@pytest.mark.parametrize("text", ["0", "-1", "nan", "soon", "86401"])
def test_what_is_no_silence_is_refused(text):
    expected = f"^--osc-silence: expected 1 to 86400 seconds, auto or never, got '{text}'$"
    with pytest.raises(ValueError, match=expected):
        live("--osc-silence", text).osc_silence_s()


@pytest.mark.parametrize("lookahead, meant", [("0", 0), ("125", 125), ("full", "full")])
def test_a_render_may_look_ahead_over_the_whole_piece(lookahead, meant):
    assert render("a.mid", "a.wav", "--lookahead", lookahead).lookahead == meant


@pytest.mark.parametrize("lookahead", ["-1", "126", "2.5", "all"])
def test_a_lookahead_that_there_is_not_is_refused(lookahead):
    with pytest.raises(ValueError, match="--lookahead"):
        render("a.mid", "a.wav", "--lookahead", lookahead)


def test_each_channel_may_have_a_patch():
    flags = render("a.mid", "a.wav", "--part", "1=piano", "--part", "16=my organ")
    assert flags.patches_of_parts() == {1: "piano", 16: "my organ"}
    assert flags.midi == Path("a.mid") and flags.out == Path("a.wav")


@pytest.mark.parametrize("part", ["piano", "0=piano", "17=piano", "x=piano", "=piano"])
def test_a_channel_that_there_is_not_is_refused(part):
    with pytest.raises(ValueError, match="^--part: "):
        render("a.mid", "a.wav", "--part", part).patches_of_parts()


@pytest.mark.parametrize("gain", ["-61", "24.1", "nan", "loud"])
def test_a_gain_that_hurts_is_refused(gain):
    assert live("--gain", "-6").gain == render("a.mid", "a.wav", "--gain", "-6").gain == -6
    with pytest.raises(ValueError, match="--gain: expected"):
        live("--gain", gain)


def test_learnt_controllers_may_be_kept_nowhere(tmp_path):
    assert live("--midi-map", "none").midi_map_path() is None
    assert live("--midi-map", str(tmp_path / "a")).midi_map_path() == tmp_path / "a"


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_questions_are_answered_without_loading_the_networks(flag):
    code = (
        "import sys, run_server\n"
        "try:\n    run_server.main(sys.argv[1:])\n"
        "except SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numba', 'mido') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, flag]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.stdout.splitlines()[-1] == "[]", told.stderr


def test_version_and_help_are_printed():
    assert run("--version").stdout.startswith("melstream ")
    for command in ([], ["render"]):
        told = run(*command, "--help")
        assert told.returncode == 0 and "--lookahead" in told.stdout


@pytest.mark.parametrize(
    "text, address",
    [
        ("auto", HttpAddress("127.0.0.1", 8000, fixed=False)),
        ("0.0.0.0:80", HttpAddress("0.0.0.0", 80, fixed=True)),
        ("[::1]:0", HttpAddress("::1", 0, fixed=True)),
        ("none", None),
    ],
)
def test_the_page_has_the_usual_port_one_that_is_named_or_none(text, address):
    assert live("--http", text).http_address() == address


def test_what_is_no_address_of_a_page_is_refused():
    with pytest.raises(ValueError, match="^--http: expected HOST:PORT, auto or none, got '8000'$"):
        live("--http", "8000").http_address()
    with pytest.raises(ValueError, match="^--open: there is no page"):
        live("--http", "none", "--open").http_address()


def test_what_cannot_be_kept_is_named(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    flags = live("--patches", f"{file}/a", "--desk", f"{tmp_path}/b", "--midi-map", f"{file}/c")
    assert flags.without() == [
        f"patches ({file}/a cannot be written)",
        f"learnt controllers ({file}/c cannot be written)",
    ]
    assert live("--desk", "none", "--midi-map", "none", "--patches", str(tmp_path)).without() == []


def test_a_bank_that_comes_along_is_known_by_its_name(tmp_path, monkeypatch):
    assert (live("--bank", "gm100").bank / "bank.yaml").is_file()
    assert render("a.mid", "a.wav", "--bank", "gm10").bank == DEFAULT_BANK.parent / "gm10"
    for other in ("mine", "..", "folder/gm10"):
        assert live("--bank", other).bank == Path(other)
    # A folder of that name where the server is started goes before.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gm10").mkdir()
    assert live("--bank", "gm10").bank == Path("gm10")
