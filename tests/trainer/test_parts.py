"""A run in small files: little is lost on the way, and nothing wrong is taken for whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trainer.__main__ import main
from trainer.parts import PART_BYTES, pack_run, unpack_run

SIZES = {
    "mel2mel": ["--frames=24", "--hidden=48", "--timbre-features=2"],
    "wavenet": ["--frames=4", "--layers=4", "--cycle=2", "--residual=32", "--skip=64"],
}
ROOM, FILES = 64 * 2**20, 8


def train(network: str, data: Path, run: Path, *more: str) -> None:
    assert main([network, f"--data={data}", f"--run={run}", "--batch=3", *more]) == 0


@pytest.fixture(scope="module", params=sorted(SIZES))
def trained(request, data, tmp_path_factory) -> tuple[str, Path]:
    """A network's name, and a run of it with six steps behind it."""
    run = tmp_path_factory.mktemp(request.param)
    train(request.param, data, run, *SIZES[request.param], "--iterations=6")
    return request.param, run


def test_a_run_goes_on_almost_as_if_it_had_never_been_packed(trained, data, tmp_path):
    name, run = trained
    assert pack_run(run, tmp_path, name, ROOM, FILES) == "whole"
    again = tmp_path / "again"
    assert unpack_run(tmp_path, name, again) == "whole"
    before, after = (torch.load(r / "last.pt", weights_only=True) for r in (run, again))
    assert before.keys() == after.keys() and before["progress"][:2] == after["progress"][:2]
    for key, value in before["network"].items():
        torch.testing.assert_close(after["network"][key], value, rtol=1e-3, atol=1e-6)
    for key, value in before["average"].items():
        torch.testing.assert_close(after["average"][key], value, rtol=1e-3, atol=1e-6)
    for key, old in before["optimiser"]["state"].items():
        new = after["optimiser"]["state"][key]
        assert old["step"] == new["step"]
        # Not those below 1e-38, which some processors take for nothing.
        torch.testing.assert_close(new["exp_avg_sq"], old["exp_avg_sq"], rtol=1e-2, atol=1e-38)
        # What is below 1/500 of a step counts as none.
        least = 2e-3 * float(old["exp_avg_sq"].max().sqrt())
        torch.testing.assert_close(new["exp_avg"], old["exp_avg"], rtol=0.07, atol=least)
    weights = [load_file(r / "weights.safetensors") for r in (run, again)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    kept = tmp_path / "kept"
    shutil.copytree(run, kept)
    for each in (kept, again):
        train(name, data, each, *SIZES[name], "--iterations=9")
    ends = [load_file(r / "weights.safetensors") for r in (kept, again)]
    for key, value in ends[0].items():
        torch.testing.assert_close(ends[1][key], value, rtol=2e-2, atol=4e-3)


def test_parts_take_half_of_the_checkpoint_or_less(trained, tmp_path):
    name, run = trained
    pack_run(run, tmp_path, name, ROOM, FILES)
    packed = sum(path.stat().st_size for path in tmp_path.glob(f"{name}.state.*"))
    assert packed < 0.5 * (run / "last.pt").stat().st_size


def test_a_full_size_mel2mel_comes_back_in_four_files_at_most(data, tmp_path):
    train("mel2mel", data, tmp_path / "run", "--frames=24", "--iterations=1")
    out = tmp_path / "out"
    out.mkdir()
    assert pack_run(tmp_path / "run", out, "mel2mel", ROOM, FILES) == "whole"
    sizes = [path.stat().st_size for path in out.iterdir()]
    assert len(sizes) <= 4 and max(sizes) < 16 * 2**20 and sum(sizes) < 53e6
    assert unpack_run(out, "mel2mel", tmp_path / "again") == "whole"
    train("mel2mel", data, tmp_path / "again", "--frames=24", "--iterations=2")


def test_without_room_the_weights_alone_are_kept(trained, tmp_path):
    name, run = trained
    assert pack_run(run, tmp_path, name, ROOM, FILES) == "whole"
    assert pack_run(run, tmp_path, name, 10_000, FILES) == "weights"
    assert pack_run(run, tmp_path, name, ROOM, 1) == "weights"
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.safetensors"]
    assert unpack_run(tmp_path, name, tmp_path / "again") == "weights"
    assert not (tmp_path / "again").exists()


def test_a_run_without_weights_is_nothing_to_keep(tmp_path):
    assert pack_run(tmp_path, tmp_path, "mel2mel", ROOM, FILES) == "nothing"
    assert unpack_run(tmp_path, "mel2mel", tmp_path / "run") == "nothing"


@pytest.fixture
def sliced(trained, tmp_path, monkeypatch) -> tuple[str, Path]:
    """A run in parts so short that it takes several."""
    name, run = trained
    monkeypatch.setattr("trainer.parts.PART_BYTES", 60_000)
    assert pack_run(run, tmp_path, name, ROOM, files=200) == "whole"
    assert len(list(tmp_path.glob(f"{name}.state.*"))) > 2
    monkeypatch.setattr("trainer.parts.PART_BYTES", PART_BYTES)
    return name, tmp_path


def test_parts_are_put_together_in_order(sliced):
    name, folder = sliced
    assert unpack_run(folder, name, folder / "again") == "whole"


@pytest.mark.parametrize("harm", ["missing", "last missing", "swapped", "bit", "older", "text"])
def test_parts_that_do_not_fit_leave_the_weights(sliced, harm):
    name, folder = sliced
    parts = sorted(folder.glob(f"{name}.state.*"), key=lambda p: int(p.suffix[1:]))
    content = parts[1].read_bytes()
    match harm:
        case "missing":
            parts[1].unlink()
        case "last missing":
            parts[-1].unlink()
        case "swapped":
            parts[1].write_bytes(parts[0].read_bytes())
        case "bit":
            parts[1].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "older":  # the digest after the mark is another checkpoint's
            parts[1].write_bytes(content[:20] + bytes([content[20] ^ 1]) + content[21:])
        case "text":
            parts[1].write_bytes(b"not a part")
    assert unpack_run(folder, name, folder / "again") == "weights"


def test_weights_that_are_none_are_named(tmp_path):
    (tmp_path / "mel2mel.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="mel2mel.safetensors: not weights"):
        unpack_run(tmp_path, "mel2mel", tmp_path / "run")
