"""Banks: read strictly, nothing in them executed, and nothing saved is lost."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from common.checks import brief
from synth.bank.bank import Bank, load_bank
from synth.bank.choice import choose_vocoder
from synth.mel import Analysis
from synth.mel2mel.network import Mel2MelConfig
from synth.vocoders.wavenet.guided import GuidedVocoder
from synth.vocoders.wavenet.network import WaveNetConfig
from synth.vocoders.wavenet.wide import WideVocoder
from tests.toy_bank import (
    ANALYSIS,
    GUIDED,
    MEL2MEL,
    PATCHES,
    RING_OUT_S,
    WAVENET,
    make_mel2mel,
    make_moving_mel2mel,
    make_toy_bank,
)


@pytest.fixture
def folder(toy_bank, tmp_path) -> Path:
    """A bank of this test's own, to write to."""
    return shutil.copytree(toy_bank, tmp_path / "bank")


@pytest.fixture
def bank(folder) -> Bank:
    return load_bank(folder)


def edit(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "bank.yaml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as told:
        read()
    assert "\n" not in str(told.value)
    return str(told.value)


def test_a_bank_is_read_as_it_was_written(toy_bank):
    bank = load_bank(toy_bank)
    assert bank.path == toy_bank == load_bank(str(toy_bank)).path
    assert bank.mel2mel_config == MEL2MEL and bank.wavenet_config == WAVENET
    assert bank.analysis == ANALYSIS and bank.embedding_size == 2
    assert bank.ring_out_s == RING_OUT_S
    assert bank.knobs == {"brightness": (0.5, -0.25)}
    assert bank.fidelity == {"spectral": 0.6, "wavenet": 0.5}
    assert bank.about == {"made": "for tests"}
    assert [bank.patch(p.name) for p in PATCHES] == list(PATCHES)


def test_patches_are_ordered_by_program_then_name(folder):
    for name, program in (("zither", 3), ("aeolian", None), ("zither-2", 3)):
        text = "embedding: [0, 0]" + (f"\nprogram: {program}" if program else "")
        (folder / f"{name}.yaml").write_text(text)
    bank = load_bank(folder)
    assert bank.names == ["piano", "zither", "zither-2", "organ", "aeolian", "bright-lead"]
    assert bank.programs.keys() == {0, 3, 19}
    assert bank.programs[0] == "piano" and bank.programs[19] == "organ"


def test_its_networks_are_ready_to_play(toy_bank):
    bank = load_bank(toy_bank)
    net, made = bank.mel2mel(), make_mel2mel()
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    assert all(t.dtype == torch.float32 for t in net.state_dict().values())
    for name, tensor in made.state_dict().items():
        assert torch.equal(net.state_dict()[name], tensor), name
    mel = torch.zeros(1, 2, ANALYSIS.mels)
    logits = bank.wavenet()(mel, torch.zeros(1, 2 * ANALYSIS.hop, dtype=torch.long))
    assert logits.shape == (1, 256, 256)


def test_its_span_is_that_of_the_instruments_it_was_trained_on(folder):
    (folder / "far.yaml").write_text("embedding: [50, -50]")
    (low_0, high_0), (low_1, high_1) = load_bank(folder).span
    assert (low_0, high_0) == pytest.approx((-0.6, 0.8), abs=1e-3)
    assert (low_1, high_1) == pytest.approx((-1.1, 0.9), abs=1e-3)
    path = folder / "mel2mel.safetensors"
    save_file({"instruments.weight": torch.zeros(2, 2)}, path)
    told = refusal(lambda: load_bank(folder).span)
    assert told == f"{path}: tensor instruments.weight does not fit bank.yaml's sizes"


def test_what_may_be_left_out(folder):
    edit(folder, lambda c: [c.pop(k) for k in ("wavenet", "knobs", "fidelity", "about")])
    for name in ("piano", "organ", "bright-lead"):
        (folder / f"{name}.yaml").write_text("embedding: [0, 0]")
    (folder / "wavenet.safetensors").unlink()
    (folder / ".hidden.yaml").write_text("not a patch")
    (folder / "README.md").write_text("hello")
    bank = load_bank(folder)
    assert bank.wavenet_config is None
    assert bank.knobs == bank.fidelity == bank.about == bank.programs == {}
    assert refusal(bank.wavenet).endswith("has no wavenet; use --vocoder spectral")
    other = folder.parent / "other"
    other.mkdir()
    (other / "wavenet.safetensors").touch()
    assert refusal(bank.wavenet).endswith(f"spectral, or --bank {other}, which has one")
    assert bank.axes == ()
    bank.mel2mel()


def test_axes_have_names(folder):
    edit(folder, put("places", value={"piano": [0.25, 1.0], "gone": [0, 0]}))
    assert load_bank(folder).places == {"piano": (0.25, 1.0)}
    edit(folder, put("axes", value=["brightness", "sustain"]))
    assert load_bank(folder).axes == ("brightness", "sustain")


def test_a_bank_that_moves_may_have_a_knob_for_it(folder):
    moving = make_moving_mel2mel()
    weights = {k: v.half() for k, v in moving.state_dict().items()}
    save_file(weights, folder / "mel2mel.safetensors")
    edit(folder, lambda c: c["mel2mel"].update(decay_bands=5, blend=1, movement=1))
    bank = load_bank(folder)
    assert bank.more == 0 and bank.mel2mel().config.movement == 1
    knobs = {"brightness": [0.0, 0.0, 2.0, 0.0], "movement": [0.0, 0.0, 0.0, 2.0]}
    edit(folder, put("knobs", value=knobs))
    bank = load_bank(folder)
    assert bank.more == 2 and bank.point("piano") == (0.8, 0.2, 0.0, 0.0, *bank.amounts({}))
    assert bank.mel2mel().config.knobs == 2
    edit(folder, lambda c: c["mel2mel"].update(movement=0, blend=0))
    complaint = "knobs: brightness: expected 2 numbers, got [0.0, 0.0, 2.0, 0.0]"
    assert complaint in refusal(lambda: load_bank(folder))


def test_a_wavenet_may_have_a_guide(tmp_path, monkeypatch):
    # However busy this machine is.
    monkeypatch.setattr("synth.bank.choice.REAL_TIME_MARGIN", 0)
    bank = load_bank(make_toy_bank(tmp_path / "guided", GUIDED))
    assert bank.wavenet_config == GUIDED and bank.wavenet().config == GUIDED
    for asked in ("wavenet", "auto"):
        edit(bank.path, put("fidelity", value={"spectral": 0.5, "wavenet": 0.6}))
        vocoder, reason = choose_vocoder(load_bank(bank.path), asked, "cpu")
        assert isinstance(vocoder, GuidedVocoder) and reason.startswith("wavenet, sampler cpu")
    edit(bank.path, put("wavenet", "guide", value=6))
    assert "tensor layers.0.gate.weight is" in refusal(load_bank(bank.path).wavenet)


def test_a_wavenet_with_a_guide_plays_banks_of_16_khz_and_multiples(tmp_path):
    folder = make_toy_bank(tmp_path / "guided", GUIDED)
    wide = {"rate": 48_000, "hop": 384, "window": 1_536, "wide_bands": 4}
    edit(folder, put("audio", value=wide))
    vocoder, _ = choose_vocoder(load_bank(folder), "wavenet", "cpu")
    assert isinstance(vocoder, WideVocoder) and vocoder.hop == 384
    for name, value, complaint in (
        ("hop", 128, "hop: expected 384 for a wavenet with a guide, got 128"),
        ("rate", 44_100, "rate: expected a multiple of 16000 for a wavenet with a guide, got"),
    ):
        edit(folder, put("audio", value=wide | {name: value}))
        assert f"bank.yaml: audio: {complaint}" in refusal(lambda: load_bank(folder))


def put(*path: str | int, value: object) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


def without(*path: str) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (put("voices", value=3), "unknown key 'voices'; allowed are audio, mels, mel2mel,"),
        (without("audio"), "audio is missing"),
        (without("ring_out_s"), "ring_out_s is missing"),
        (put("audio", value=16_000), "audio: expected a mapping, got 16000"),
        (without("audio", "hop"), "audio: hop is missing"),
        (put("audio", "bits", value=8), "audio: unknown key 'bits'; allowed are rate, hop, window"),
        (put("audio", "rate", value=1), "audio: rate: expected at least 8000, got 1"),
        (put("audio", "rate", value="16k"), "audio: rate: expected a whole number, got '16k'"),
        (put("audio", "rate", value="16000"), "audio: rate: expected a whole number, got '16000'"),
        (put("audio", "window", value=500), "audio: window: expected a multiple of twice the hop"),
        (put("audio", "hop", value=64), "audio: hop: expected 128 for a wavenet, got 64"),
        (put("audio", "wide_bands", value=-1), "audio: wide_bands: expected at least 0, got -1"),
        (put("audio", "wide_bands", value=9), "audio: wide_bands is 9, too many for the 1 bins"),
        (put("mels", value=0), "mels: expected at least 1, got 0"),
        (put("mel2mel", "hidden", value=1.5), "mel2mel: hidden: expected a whole number, got 1.5"),
        (
            put("mel2mel", "hidden", value=True),
            "mel2mel: hidden: expected a whole number, got T",
        ),
        (
            put("mel2mel", "movement", value=1),
            "mel2mel: movement: expected 0 without decay_bands and timbre_features, got 1",
        ),
        (put("mel2mel", "movement", value=2), "mel2mel: movement: expected at most 1, got 2"),
        (put("mel2mel", "embedding", value=65), "mel2mel: embedding: expected at most 64, got 65"),
        (
            put("mel2mel", "fine", value=True),
            "mel2mel: unknown key 'fine'; allowed are instr",
        ),
        (put("wavenet", "cycle", value=15), "wavenet: cycle: expected at most 14, got 15"),
        (put("wavenet", "guide", value=65), "wavenet: guide: expected at most 64, got 65"),
        (put("wavenet", "guide", value=1.5), "wavenet: guide: expected a whole number, got 1.5"),
        (put("wavenet", "sharpness", value=0), "wavenet: sharpness: expected at least 0.1, got 0"),
        (put("wavenet", "emphasis", value=1), "wavenet: emphasis: expected at most 0.99, got 1"),
        (
            put("wavenet", "emphasis", value=0.5),
            "wavenet: emphasis: expected 0 without a guide, got 0.5",
        ),
        (put("wavenet", value="yes"), "wavenet: expected a mapping, got 'yes'"),
        (put("ring_out_s", value=-1), "ring_out_s: expected at least 0, got -1"),
        (put("ring_out_s", value=float("nan")), "ring_out_s: expected at most 60, got nan"),
        (put("knobs", value=[1]), "knobs: expected a mapping, got [1]"),
        (put("knobs", "brightness", value=[1]), "knobs: brightness: expected 2 numbers, got [1.0]"),
        (
            put("knobs", "brightness", value=[1, "x"]),
            "knobs: brightness: 1: expected a number",
        ),
        (
            put("knobs", "bright", value=[1, 2, 3]),
            "knobs: brightness: expected 3 numbers, got [",
        ),
        (
            put("knobs", "a b", value=[1, 2]),
            "knobs: expected a name of letters, digits, - or",
        ),
        (put("knobs", "../x", value=[1, 2]), "knobs: expected a name of letters, digits"),
        (put("knobs", 7, value=[1, 2]), "knobs: expected a name of letters, digits, - or _, got 7"),
        (put("places", value=5), "places: expected a mapping, got 5"),
        (
            put("places", value={"piano": [0.5]}),
            "places: piano: expected 2 numbers from 0 to 1, got",
        ),
        (
            put("places", value={"piano": [0, 1.5]}),
            "expected 2 numbers from 0 to 1, got [0.0, 1.5]",
        ),
        (put("places", value={"a b": [0, 1]}), "places: expected a name of letters"),
        (put("axes", value=5), "axes: expected a list, got 5"),
        (put("axes", value=["bright"]), "axes: expected 2 different names, got ['bright']"),
        (put("axes", value=["a", "a"]), "axes: expected 2 different names, got ['a', 'a']"),
        (put("axes", value=["a", "b c"]), "axes: 1: expected a name of letters, digits, - or _"),
        (put("axes", value=[["a"], 7]), "axes: 0: expected a name of letters, digits, - or _"),
        (put("fidelity", value=0.6), "fidelity: expected a mapping, got 0.6"),
        (put("fidelity", "spectral", value=2), "fidelity: spectral: expected at most 1, got 2"),
        (
            put("fidelity", "vocaloid", value=0),
            "fidelity: expected 'spectral' or 'wavenet', got",
        ),
        (put("about", value="me"), "about: expected a mapping, got 'me'"),
    ],
)
def test_a_mistake_in_bank_yaml_is_named(folder, change, complaint):
    edit(folder, change)
    message = refusal(lambda: load_bank(folder))
    assert message.startswith(f"{folder / 'bank.yaml'}")
    assert complaint in message


def test_a_bank_that_is_not_there(folder, tmp_path):
    assert refusal(lambda: load_bank(tmp_path / "gone")).endswith(
        "gone: no bank here (there is no bank.yaml)"
    )
    (folder / "bank.yaml").write_text("audio: [")
    assert "bank.yaml: not valid YAML (line " in refusal(lambda: load_bank(folder))
    (folder / "bank.yaml").unlink()
    assert "no bank here" in refusal(lambda: load_bank(folder))


def test_a_bank_without_patches(folder):
    for patch in PATCHES:
        (folder / f"{patch.name}.yaml").unlink()
    assert refusal(lambda: load_bank(folder)).startswith(f"{folder}: no patch here")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("embedding: [0, 0, 0]", "embedding: expected 2 numbers, got [0.0, 0.0, 0.0]"),
        ("embedding: [0, 0]\nknobs: {breath: 1}", "unknown key 'breath'; allowed are brightness"),
    ],
)
def test_a_patch_that_does_not_fit_the_bank_is_left_out(folder, caplog, text, complaint):
    (folder / "organ.yaml").write_text(text)
    names = load_bank(folder).names
    assert "organ" not in names and len(names) == len(PATCHES) - 1
    assert caplog.messages[0].startswith(f"{folder / 'organ.yaml'}: ")
    assert complaint in caplog.messages[0]


def test_a_pipe_among_the_patches_stops_nothing(folder, caplog):
    os.mkfifo(folder / "odd.yaml")
    assert len(load_bank(folder).names) == len(PATCHES)
    assert "odd.yaml: expected a file, got a folder, pipe or device" in caplog.text


def test_sizes_are_compared_before_they_are_made(folder):
    edit(folder, put("mel2mel", "hidden", value=4096))
    edit(folder, put("mel2mel", "instruments", value=10_000))
    resource = pytest.importorskip("resource")
    bank, before = load_bank(folder), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "but bank.yaml says" in refusal(bank.mel2mel)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_absurd_weights_are_told_in_one_line(folder):
    def enlarge(weights: dict) -> None:
        weights["linear.weight" if "linear.weight" in weights else next(iter(weights))].fill_(6e4)

    reweigh(folder, "mel2mel", enlarge)
    message = refusal(load_bank(folder).mel2mel)
    assert "expected values from -1000 to 1000, got 60000" in message


def reweigh(folder: Path, name: str, change: Callable[[dict], None]) -> None:
    path = folder / f"{name}.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def spoil(tensor: torch.Tensor, value: float) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[3] = value
    return tensor


@pytest.mark.parametrize(
    ("network", "change", "complaint"),
    [
        ("mel2mel", lambda w: w.pop("entry.weight"), "tensor entry.weight is missing"),
        ("mel2mel", lambda w: w.update(extra=torch.zeros(1)), "unknown tensor extra"),
        (
            "mel2mel",
            lambda w: w.update({"entry.weight": torch.zeros(16, 175)}),
            "tensor entry.weight is [16, 175], but bank.yaml says [16, 176]",
        ),
        (
            "mel2mel",
            lambda w: w.update({"mel.bias": spoil(w["mel.bias"], float("nan"))}),
            "tensor mel.bias has values that are not finite",
        ),
        (
            "wavenet",
            lambda w: w.update({"end.weight": spoil(w["end.weight"], float("inf"))}),
            "tensor end.weight has values that are not finite",
        ),
        ("wavenet", lambda w: w.pop("layers.3.gate.bias"), "tensor layers.3.gate.bias is missing"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder, network, change, complaint):
    reweigh(folder, network, change)
    bank = load_bank(folder)
    message = refusal(getattr(bank, network))
    assert message.startswith(f"{folder / network}.safetensors: ") and complaint in message


def test_sizes_that_do_not_fit_the_weights_are_named(folder):
    edit(folder, put("mel2mel", "hidden", value=32))
    message = refusal(load_bank(folder).mel2mel)
    assert "but bank.yaml says" in message


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff" * 64, None], ids=["empty", "text", "noise", "gone"]
)
def test_a_broken_or_missing_weights_file(folder, content):
    path = folder / "mel2mel.safetensors"
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    bank = load_bank(folder)
    reason = "no such file" if content is None else "not a safetensors file ("
    assert refusal(bank.mel2mel).startswith(f"{path}: {reason}")
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(bank.mel2mel).startswith(f"{path}: not a safetensors file (")
    path.write_bytes(whole)
    assert bank.mel2mel().config == MEL2MEL


def test_no_pickle_is_ever_opened(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "boom",)

    torch.save(Bomb(), folder / "mel2mel.safetensors")
    assert "not a safetensors file" in refusal(load_bank(folder).mel2mel)
    (folder / "bank.yaml").write_text("about: !!python/object/apply:os.mkdir [boom]")
    assert "not valid YAML" in refusal(lambda: load_bank(folder))
    assert not (tmp_path / "boom").exists()


def save(bank: Bank, name: str, x: float = 0.5, overwrite: bool = False):
    return bank.save(
        name,
        embedding=(x, 1 / 3),
        knobs={"brightness": 2 / 3},
        gain_db=-3.0,
        pan=0.5,
        overwrite=overwrite,
    )


def test_what_is_saved_survives_a_restart_to_the_digit(bank, folder):
    saved = save(bank, "mine")
    assert bank.patch("mine") == saved
    again = load_bank(folder)
    assert again.patches == bank.patches and again.names == bank.names
    assert again.names == ["piano", "organ", "bright-lead", "mine"]


def test_saving_over_a_patch_keeps_its_place_and_program(bank, folder):
    assert "patch 'organ' exists" in refusal(lambda: save(bank, "organ"))
    assert bank.patch("organ") == PATCHES[1] == load_bank(folder).patch("organ")
    saved = save(bank, "organ", x=7.0, overwrite=True)
    for one in (bank, load_bank(folder)):
        assert one.patch("organ") == saved and saved.embedding[0] == 7.0
        assert one.names == ["piano", "organ", "bright-lead"]
        assert one.programs == {0: "piano", 19: "organ"}


@pytest.mark.parametrize("name", ["../x", "", "bank", "x" * 65, "CON", "a/b", ".part"])
def test_a_name_from_the_network_never_becomes_a_path(bank, folder, name):
    before = {p: p.read_bytes() for p in folder.parent.rglob("*") if p.is_file()}
    assert refusal(lambda: save(bank, name, overwrite=True)).startswith(
        f"patch name {brief(name)}: "
    )
    assert {p: p.read_bytes() for p in folder.parent.rglob("*") if p.is_file()} == before


def test_a_patch_that_would_not_load_again_is_not_saved(bank, folder):
    before = dict(bank.patches)
    settings = {"knobs": {}, "gain_db": 0.0, "pan": 0.0, "overwrite": True}
    for embedding in ((0.0,), (0.0, float("nan")), (0.0, 1e6)):
        refusal(lambda e=embedding: bank.save("organ", embedding=e, **settings))
    settings["knobs"] = {"breath": 0.5}
    refusal(lambda: bank.save("organ", embedding=(0.0, 0.0), **settings))
    assert bank.patches == before == load_bank(folder).patches


def test_a_save_that_fails_changes_nothing(bank, folder):
    before = bank.patches
    shutil.rmtree(folder)
    assert "cannot be written" in refusal(lambda: save(bank, "organ", overwrite=True))
    assert bank.patches is before and bank.patch("organ") == PATCHES[1]


def test_two_saves_of_one_new_name_cannot_both_win(bank, folder):
    outcomes = []

    def try_to_save(x: float) -> None:
        try:
            outcomes.append(save(bank, "mine", x))
        except ValueError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=try_to_save, args=(float(x),)) for x in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [o for o in outcomes if not isinstance(o, ValueError)]
    assert len(outcomes) == 8 and len(won) == 1
    assert load_bank(folder).patch("mine") == bank.patch("mine") == won[0]


def test_an_unknown_patch_lists_those_there_are(bank, folder):
    told = refusal(lambda: bank.patch("kazoo"))
    assert told == f"no patch 'kazoo' in {folder}; it has: piano, organ, bright-lead"


def test_the_method_s_own_sizes_are_allowed(folder):
    """Those of the default configuration, and 48 kHz without a wavenet, all bins or bands."""
    default, wavenet = Mel2MelConfig(), WaveNetConfig()

    def change(content: dict) -> None:
        content["mels"] = 80
        content["audio"]["window"] = 1_024
        content["mel2mel"] = {k: getattr(default, k) for k in content["mel2mel"]}
        content["wavenet"] = {k: getattr(wavenet, k) for k in content["wavenet"]}

    edit(folder, change)
    bank = load_bank(folder)
    assert bank.mel2mel_config == default and bank.wavenet_config == wavenet
    edit(folder, put("audio", value={"rate": 48_000, "hop": 384, "window": 3_072}))
    edit(folder, without("wavenet"))
    assert load_bank(folder).analysis == Analysis(48_000, 384, 3_072)
    edit(folder, put("audio", "wide_bands", value=48))
    assert load_bank(folder).analysis == Analysis(48_000, 384, 3_072, wide_bands=48)
