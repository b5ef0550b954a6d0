"""From runs to a bank: one that loads and plays, and says what it was made of."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from synth.bank.bank import load_bank
from synth.mel2mel.network import KNOBS
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from synth.vocoders.wavenet.vocoder import wavenet_vocoder
from synth.vocoders.wavenet.wide import WideVocoder
from tests.trainer.tiny_data import (
    FRAMES,
    HALVE_EVERY,
    HOP,
    INSTRUMENTS,
    RATE,
    SIZES,
    make_take,
    write_excerpt,
    write_manifest,
)
from tests.trainer.tiny_soundfont import PROGRAMS
from trainer.bank.bank import make_bank, write_bank
from trainer.bank.plan import BankPlan, read_fidelity
from trainer.data.manifest import read_manifest
from trainer.mel2mel import training as mel2mel
from trainer.mel2mel.losses import SpectralLoss
from trainer.mel2mel.movement import SMOOTHED
from trainer.mel2mel.settings import Mel2MelSettings, Mel2MelSizes
from trainer.mel2mel.struck import predicted
from trainer.mel2mel.treble import STRUCK, VELOCITIES
from trainer.run.plan import TrainingPlan
from trainer.run.weights import read_config, read_history, read_notes, read_taught
from trainer.wavenet import training as wavenet
from trainer.wavenet.settings import WaveNetSettings

NOTES, SAMPLES = Mel2MelSettings(SIZES["mel2mel"]), WaveNetSettings(SIZES["wavenet"])
CREDITS = {"midi": "notes by nobody, public domain", "soundfont": "waves by nobody"}


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs mel2mel (four iterations of 72 frames) and wavenet (two)."""
    folder = tmp_path_factory.mktemp("runs")
    mel2mel.train(training("mel2mel", data, folder / "mel2mel", 4), NOTES)
    wavenet.train(training("wavenet", data, folder / "wavenet", 2), SAMPLES)
    return folder


def training(network: str, data: Path, run: Path, iterations: int) -> TrainingPlan:
    return TrainingPlan(
        data=data,
        run=run,
        batch=3,
        frames=FRAMES[network],
        halve_every=HALVE_EVERY[network],
        iterations=iterations,
        device="cpu",
    )


def planned(run: Path, data: Path, out: Path, wavenet: Path | None = None) -> BankPlan:
    return BankPlan(mel2mel=run, wavenet=wavenet, data=data, out=out)


def make(runs: Path, data: Path, out: Path, **more: Any) -> dict:
    """A bank of both runs, its patches not levelled; what bank.yaml says."""
    credits = {f"{name}_credit": text for name, text in CREDITS.items()}
    plan = planned(runs / "mel2mel", data, out, runs / "wavenet")
    return yaml.safe_load(write_bank(replace(plan, **credits | more)).read_text())


def test_a_bank_of_two_runs_loads_and_has_a_patch_for_each_program(runs, data, tmp_path):
    make_bank(planned(runs / "mel2mel", data, tmp_path / "bank", runs / "wavenet"))
    bank = load_bank(tmp_path / "bank")
    assert bank.programs == {program: name for name, program in INSTRUMENTS.items()}
    assert bank.mel2mel_config.hidden == 8 and bank.wavenet_config.cycle == 2
    assert bank.fidelity == {}
    gains = [bank.patch(name).gain_db for name in bank.names]
    assert 0 not in gains  # each was heard
    network, vocoder = bank.mel2mel(), bank.wavenet()
    assert network.instruments.weight.dtype == torch.float32
    for row, name in enumerate(INSTRUMENTS):
        point = torch.tensor(bank.point(name))[: network.config.embedding]
        torch.testing.assert_close(point, network.instruments.weight[row], atol=1e-6, rtol=0)
    # Kept in half precision, and exactly as the run left them.
    for name, one in (("mel2mel", network), ("wavenet", vocoder)):
        left = load_file(runs / name / "weights.safetensors")
        kept = load_file(tmp_path / "bank" / f"{name}.safetensors")
        assert kept.keys() == left.keys() == one.state_dict().keys()
        assert all(torch.equal(kept[k], left[k]) for k in kept)
    assert not list((tmp_path / "bank").glob("*.part"))


GUIDE = {"guide": 4, "sharpness": 2.5, "emphasis": 0.85}


def with_a_guide(runs: Path, run: Path, **more: Any) -> WaveNetConfig:
    """A copy of the WaveNet's run, as if it had been trained with a guide, for an hour of audio;
    more: what its weights state beside."""
    shutil.copytree(runs / "wavenet", run, dirs_exist_ok=True)
    path = run / "weights.safetensors"
    notes = read_notes(path)
    stated = json.loads(notes["config"]) | GUIDE
    network = WaveNet(WaveNetConfig(**stated))
    weights = {name: t.detach().half() for name, t in network.state_dict().items()}
    history = json.loads(notes["history"]) | {"seen": 3600 * RATE}
    told = {"config": json.dumps(stated | more), "history": json.dumps(history)}
    save_file(weights, path, notes | told)
    return network.config


def test_a_wavenet_with_a_guide_is_stated_as_it_was_trained(runs, data, tmp_path):
    """As its weights state it; what they state is copied into bank.yaml."""
    shutil.copytree(runs / "mel2mel", tmp_path / "runs" / "mel2mel")
    config = with_a_guide(runs, tmp_path / "runs" / "wavenet")
    content = make(tmp_path / "runs", data, tmp_path / "bank")
    assert {name: content["wavenet"][name] for name in GUIDE} == GUIDE
    assert load_bank(tmp_path / "bank").wavenet().config == config
    content = make(tmp_path / "runs", data, tmp_path / "sharp", sharpness=8.0)
    assert content["wavenet"]["sharpness"] == 8
    assert read_config(tmp_path / "sharp" / "wavenet.safetensors")["sharpness"] == 8
    with_a_guide(runs, tmp_path / "runs" / "wavenet", voices=2)
    with pytest.raises(ValueError, match=r"weights.safetensors: states sizes that .* 'voices'"):
        make(tmp_path / "runs", data, tmp_path / "bank")


def test_a_bank_of_48_khz_takes_a_wavenet_with_a_guide_and_no_other(runs, data48, tmp_path):
    mel2mel.train(training("mel2mel", data48, tmp_path / "mel2mel", 1), NOTES)
    config = with_a_guide(runs, tmp_path / "guided")
    path = write_bank(planned(tmp_path / "mel2mel", data48, tmp_path / "bank", tmp_path / "guided"))
    bank, about = load_bank(path.parent), yaml.safe_load(path.read_text())["about"]["wavenet"]
    assert (bank.analysis.rate, bank.analysis.hop) == (48_000, 384)
    assert bank.wavenet().config == config
    assert about["hours_of_audio_seen"] == 1.0  # of its own rate
    assert isinstance(wavenet_vocoder(bank.wavenet(), "cpu", bank.analysis), WideVocoder)
    plain = planned(tmp_path / "mel2mel", data48, tmp_path / "other", runs / "wavenet")
    complaint = "does not fit the mel2mel: hop: expected 128 for a wavenet, got 384"
    with pytest.raises(ValueError, match=complaint):
        write_bank(plain)


def test_a_bank_of_48_khz_has_the_soundfonts_treble(soundfont, tmp_path):
    """Its waves have nothing above 8 kHz, whatever an untrained network states there."""
    data, random = tmp_path / "data", np.random.default_rng(0)
    for split in ("train", "val"):
        for harmonics, patch in enumerate(PROGRAMS, 1):
            audio, roll = make_take(random, harmonics, 48_000)
            write_excerpt(data / split / f"0000-{patch}.npz", audio, roll, patch)
    write_manifest(data, PROGRAMS, 48_000)
    sha256 = hashlib.sha256(soundfont.read_bytes()).hexdigest()
    with (data / "manifest.yaml").open("a") as file:
        yaml.safe_dump({"soundfont_sha256": sha256, "gains_db": dict.fromkeys(PROGRAMS, 0.0)}, file)
    settings = Mel2MelSettings(Mel2MelSizes(hidden=8, timbre_features=2, decay_bands=6, blend=1))
    mel2mel.train(training("mel2mel", data, tmp_path / "run", 1), settings)
    plan = planned(tmp_path / "run", data, tmp_path / "bank")
    treble = []
    for source in (None, soundfont):
        path = write_bank(replace(plan, soundfont=source))
        about = yaml.safe_load(path.read_text())["about"]["mel2mel"]
        assert ("treble" in about) == ("velocity_powers_moved" in about) == (source is not None)
        network = load_bank(path.parent).mel2mel()
        (notes, _) = predicted(network, read_manifest(data), STRUCK, VELOCITIES)
        treble.append(notes[..., network.config.analysis.single :].sum() / notes.sum())
    assert treble[1] < treble[0] / 2


def ways(*names: str) -> dict[str, tuple[float, ...]]:
    """Directions of knobs in a bank whose embedding has two numbers and six behind them."""
    places = {name: 2 + KNOBS.index(name) for name in names}
    return {n: tuple(2.0 * (i == place) for i in range(8)) for n, place in places.items()}


STILL = ways("brightness", "attack", "decay", "body", "air")


def test_each_knob_turns_one_thing(runs, data, tmp_path):
    make(runs, data, tmp_path / "bank")
    bank = load_bank(tmp_path / "bank")
    assert bank.knobs == STILL and bank.more == 6
    assert all(bank.patch(name).knobs == dict.fromkeys(STILL, 0.5) for name in bank.names)


def with_single_keys(data: Path, copy: Path) -> Path:
    """The data set, and one key of each instrument, held for 8 s: a tone that swells and sinks."""
    shutil.copytree(data, copy)
    time = np.arange(9 * RATE) / RATE
    tone = 0.1 * np.sin(2 * np.pi * 440 * time) * (1 + 0.5 * np.sin(2 * np.pi * 3 * time))
    audio = np.rint(tone * (time < 8) * 32767).astype(np.int16)
    roll = np.zeros((len(audio) // HOP, 176), np.uint8)
    roll[:1_000, 48] = roll[0, 88 + 48] = 80
    for patch in INSTRUMENTS:
        write_excerpt(copy / "keys" / f"69-{patch}.npz", audio, roll, patch)
    return copy


def test_held_notes_move_where_there_are_single_keys(runs, data, tmp_path):
    keyed = with_single_keys(data, tmp_path / "data")
    assert make(runs, keyed, tmp_path / "bank")["mel2mel"]["movement"] == 1
    bank = load_bank(tmp_path / "bank")
    assert bank.knobs == ways(*KNOBS) and bank.more == 6
    assert all(bank.patch(n).knobs == dict.fromkeys(KNOBS, 0.5) for n in bank.names)
    weights = tmp_path / "bank" / "mel2mel.safetensors"
    assert read_config(weights)["movement"] == 1
    network, left = bank.mel2mel(), load_file(runs / "mel2mel" / "weights.safetensors")
    spread = network.templates.spread(
        network.timbre(torch.tensor([bank.point("bell")])[:, : network.config.embedding])
    )
    # The tone swings by 0.36 (root of the mean square of its natural log).
    assert float(spread.max()) == pytest.approx(SMOOTHED * 0.36, abs=0.1)
    kept = load_file(weights)
    assert all(torch.equal(kept[k], left[k]) for k in left)
    assert "movement" not in make(runs, keyed, tmp_path / "still", still=True)["mel2mel"]


def test_a_bank_tells_what_it_was_made_of_in_plain_units(runs, data, tmp_path):
    about = make(runs, data, tmp_path / "bank")["about"]
    notes, samples = about["mel2mel"], about["wavenet"]
    assert notes["iterations"] == 4 and notes["frames_seen"] == 4 * 3 * 24
    assert samples["iterations"] == 2 and samples["samples_seen"] == 2 * 3 * 4 * 128
    assert notes["hours_of_audio_seen"] == round(4 * 3 * 24 / 125 / 3600, 2)
    assert notes["device"] == samples["device"] == "cpu"
    assert "tanh" in notes["loss"] and "cross-entropy" in samples["loss"]
    validation = torch.load(runs / "mel2mel" / "last.pt", weights_only=True)["progress"][3]
    assert notes["validation_loss"] == pytest.approx(validation, abs=1e-5)
    assert about["data"]["programs"] == INSTRUMENTS and about["data"]["train_excerpts"] == 6
    assert about["data"]["train_minutes_per_program"] == 0.1
    assert about["credits"] == CREDITS


def test_what_a_run_did_after_its_last_checkpoint_is_not_claimed(runs, data, tmp_path):
    copy = shutil.copytree(runs, tmp_path / "runs")
    log = copy / "mel2mel" / "log.jsonl"
    checkpoint = log.read_text()
    counted = {"frames": 9_999, "hours": 9.0, "per_second": 1}
    lines = [{"iteration": i, "loss": 0.1 * i} | counted for i in (1, 3, 50)]
    early, at, late = (json.dumps(line) + "\n" for line in lines)
    before = make(runs, data, tmp_path / "before")["about"]
    log.write_text(early + at + late + checkpoint + late)
    after = make(copy, data, tmp_path / "after")["about"]
    assert before["mel2mel"].pop("training_loss") is None
    assert after["mel2mel"].pop("training_loss") == pytest.approx(0.3)
    assert before == after


def test_runs_of_before_configs_were_kept_have_the_methods_sizes(runs, data, tmp_path):
    copy = shutil.copytree(runs, tmp_path / "runs")
    weights = copy / "mel2mel" / "weights.safetensors"
    save_file(load_file(weights), weights)
    with pytest.raises(ValueError, match="mel2mel.weights.safetensors: not weights of this net"):
        make(copy, data, tmp_path / "bank")


def test_a_bank_without_a_wavenet_says_so(runs, data, tmp_path):
    write_bank(planned(runs / "mel2mel", data, tmp_path / "bank"))
    bank = load_bank(tmp_path / "bank")
    assert bank.wavenet_config is None and "wavenet" not in bank.about
    with pytest.raises(ValueError, match="no wavenet"):
        bank.wavenet()


def test_measured_fidelity_is_stated_and_an_older_banks_is_dropped(runs, data, tmp_path):
    measured = {"spectral": 0.71, "wavenet": 0.2}
    make(runs, data, tmp_path / "bank", fidelity=measured)
    assert load_bank(tmp_path / "bank").fidelity == measured
    make(runs, data, tmp_path / "bank")
    assert load_bank(tmp_path / "bank").fidelity == {}


def test_patches_of_another_network_are_neither_kept_nor_lost(runs, data, tmp_path):
    out = tmp_path / "bank"
    make(runs, data, out)
    patch = (out / "bell.yaml").read_text()
    for name in ("mine", "old"):
        (out / f"{name}.yaml").write_text(patch)
    # Of the same network, they play as they did.
    make(runs, data, out, fidelity={"spectral": 0.7}, precision="fp32")
    assert (out / "mine.yaml").read_text() == patch and "old" in load_bank(out).names
    mel2mel.train(training("mel2mel", data, tmp_path / "other", 1), NOTES)
    before = {path: path.read_bytes() for path in out.iterdir()}
    complaint = f"{out}: has patches of another network: mine, old; move them away, or choose anoth"
    with pytest.raises(ValueError, match=complaint):
        write_bank(planned(tmp_path / "other", data, out))
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    for name in ("mine", "old"):
        (out / f"{name}.yaml").unlink()
    write_bank(planned(tmp_path / "other", data, out))
    assert set(load_bank(out).names) == set(INSTRUMENTS)


@pytest.mark.parametrize(
    ("fidelity", "complaint"),
    [
        ("griffin=0.5", "--fidelity: expected one of spectral, wavenet, got 'griffin'"),
        ("spectral=1.5", "expected NAME=R with R from -1 to 1, got 'spectral=1.5'"),
        ("spectral=nan", "expected NAME=R with R from -1 to 1, got 'spectral=nan'"),
        ("spectral", "expected NAME=R with R from -1 to 1, got 'spectral'"),
    ],
)
def test_fidelity_that_cannot_be_is_refused(runs, data, tmp_path, fidelity, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(runs, data, tmp_path / "bank", fidelity=read_fidelity([fidelity]))
    assert not (tmp_path / "bank").exists()


def test_fidelity_of_a_wavenet_that_is_not_there_is_refused(runs, data, tmp_path):
    plan = planned(runs / "mel2mel", data, tmp_path / "bank")
    with pytest.raises(ValueError, match="--fidelity: expected one of spectral, got 'wavenet'"):
        write_bank(replace(plan, fidelity={"wavenet": 0.2}))


def test_what_is_missing_or_does_not_fit_is_named_and_nothing_is_written(runs, data, tmp_path):
    out = tmp_path / "bank"
    with pytest.raises(ValueError, match="nowhere.weights.safetensors: no such file; train first"):
        write_bank(planned(tmp_path / "nowhere", data, out))
    with pytest.raises(ValueError, match="no such file; train one, or make do with --wavenet none"):
        write_bank(planned(runs / "mel2mel", data, out, tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="manifest.yaml: no data set here"):
        write_bank(planned(runs / "mel2mel", tmp_path, out))
    write_manifest(tmp_path, {"reed": 20})
    with pytest.raises(ValueError, match="was not trained on the data set"):
        write_bank(planned(runs / "mel2mel", tmp_path, out))
    write_manifest(tmp_path, {"reed": 20, "string": 48, "bell": 14})
    with pytest.raises(ValueError, match="weights.safetensors: of other instruments .number 2: b"):
        write_bank(planned(runs / "mel2mel", tmp_path, out))
    with pytest.raises(ValueError, match="wavenet.weights.safetensors: not weights of a mel2mel"):
        write_bank(planned(runs / "wavenet", data, out))
    for log, complaint in {
        "": "has no checkpoint",
        "half a li": "line 1 is not of a frame run's log",
        '{"iteration": 2, "samples": 9, "hours": 0.1, "validation": 1}': "line 1 is not of a frame",
    }.items():
        copy = shutil.copytree(runs / "mel2mel", tmp_path / "run", dirs_exist_ok=True)
        (copy / "log.jsonl").write_text(log)
        with pytest.raises(ValueError, match=f"log.jsonl: {complaint}"):
            write_bank(planned(copy, data, out))
    assert not out.exists()


def test_a_bank_of_one_instrument_has_the_knobs_too(runs, data, tmp_path):
    lone = tmp_path / "data"
    for split in ("train", "val"):
        shutil.copytree(data / split, lone / split, ignore=shutil.ignore_patterns("*-[!b]*"))
    write_manifest(lone, {"bell": 14})
    mel2mel.train(training("mel2mel", lone, tmp_path / "run", 1), NOTES)
    write_bank(planned(tmp_path / "run", lone, tmp_path / "bank"))
    assert load_bank(tmp_path / "bank").knobs == STILL


def test_a_bank_tells_the_loss_by_name_and_draws_a_map(runs, data, tmp_path):
    about = make(runs, data, tmp_path / "bank")["about"]
    assert about["mel2mel"]["loss_name"] == "tanh-log-abs"
    assert about["mel2mel"]["loss"] == SpectralLoss().in_words(fine=True)
    assert "iteration" not in about["mel2mel"] and "loss_name" not in about["wavenet"]
    pytest.importorskip("matplotlib")
    assert (tmp_path / "bank" / "map.png").stat().st_size > 1_000


def test_a_bank_may_be_of_the_best_weights(runs, data, tmp_path):
    copy = shutil.copytree(runs, tmp_path / "runs")
    for network, unit in (("mel2mel", "frame"), ("wavenet", "sample")):
        log = copy / network / "log.jsonl"
        last = json.loads(log.read_text().splitlines()[-1])
        early = {"iteration": 1, f"{unit}s": 7, "hours": 0.0, "validation": 0.01, "device": "gpu"}
        log.write_text(json.dumps(early) + "\n" + json.dumps(last) + "\n")
        best = copy / network / "best.safetensors"
        config = read_config(best)
        tensors = {name: value * 0.5 for name, value in load_file(best).items()}
        taught = read_taught(best) | {"iteration": 1}
        notes = {"config": json.dumps(config), "taught": json.dumps(taught)}
        save_file(tensors, best, notes)
    about = make(copy, data, tmp_path / "best", weights="best")["about"]
    assert about["mel2mel"]["iterations"] == about["wavenet"]["iterations"] == 1
    assert about["mel2mel"]["frames_seen"] == 7 and about["mel2mel"]["device"] == "gpu"
    kept = load_file(tmp_path / "best" / "mel2mel.safetensors")
    assert torch.equal(
        kept["mel.bias"], load_file(best.parents[1] / "mel2mel" / best.name)["mel.bias"]
    )
    notes |= {"history": json.dumps({"iterations": 100, "seen": 900, "hours": 1.5})}
    save_file(tensors, best, notes)
    about = make(copy, data, tmp_path / "begun", weights="best")["about"]
    learnt = [
        about["wavenet"][name] for name in ("iterations", "samples_seen", "hours_of_training")
    ]
    assert learnt == [100, 900, 1.5]
    assert read_history(tmp_path / "begun" / "wavenet.safetensors")["seen"] == 900
    about = make(copy, data, tmp_path / "last")["about"]
    assert about["mel2mel"]["iterations"] == 4 and about["mel2mel"]["device"] == "cpu and gpu"
    (copy / "mel2mel" / "log.jsonl").write_text(json.dumps(early).replace("samples", "frames"))
    with pytest.raises(ValueError, match="has no checkpoint at iteration 4"):
        make(copy, data, tmp_path / "none")


def test_a_bank_may_be_of_full_precision(runs, data, tmp_path):
    make(runs, data, tmp_path / "bank", precision="fp32")
    for network in ("mel2mel", "wavenet"):
        average = torch.load(runs / network / "last.pt", weights_only=True)["average"]
        kept = load_file(tmp_path / "bank" / f"{network}.safetensors")
        assert all(torch.equal(kept[name], average[name]) for name in average)
        assert not all(torch.equal(v, v.half().float()) for v in kept.values())
    assert load_bank(tmp_path / "bank").mel2mel() is not None
    with pytest.raises(ValueError, match="--precision fp32: expected fp16 with --weights best"):
        make(runs, data, tmp_path / "bank", precision="fp32", weights="best")
    # A run that has gone on in between has other weights in its checkpoint.
    copy = shutil.copytree(runs, tmp_path / "runs")
    whole = torch.load(copy / "mel2mel" / "last.pt", weights_only=True)
    whole["average"]["mel.bias"] += 1
    torch.save(whole, copy / "mel2mel" / "last.pt")
    with pytest.raises(ValueError, match="mel2mel: is in training now"):
        make(copy, data, tmp_path / "bank", precision="fp32")


def test_a_bank_tells_from_when_on_its_wavenet_heard_predictions(runs, data, tmp_path):
    copy = shutil.copytree(runs / "wavenet", tmp_path / "runs" / "wavenet")
    settings = replace(SAMPLES, mel2mel=runs / "mel2mel", predicted_share=0.5)
    wavenet.train(training("wavenet", data, copy, 4), settings)
    path = write_bank(planned(runs / "mel2mel", data, tmp_path / "bank", copy))
    about = yaml.safe_load(path.read_text())["about"]["wavenet"]
    assert about["predicted_share"] == 0.5 and about["predicted_seen_by_iteration"] == 4


def test_a_bank_needs_a_fine_head(data, tmp_path):
    settings = Mel2MelSettings(Mel2MelSizes(hidden=8, no_fine=True))
    mel2mel.train(training("mel2mel", data, tmp_path / "run", 1), settings)
    with pytest.raises(ValueError, match="has no fine head, which a bank needs"):
        write_bank(planned(tmp_path / "run", data, tmp_path / "bank"))
