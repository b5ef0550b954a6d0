"""Guides are made once and kept, and a WaveNet learns to follow them, by its own takes too."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from torch import nn

from synth.mel import Analysis, log_magnitudes
from synth.vocoders.wavenet.mulaw import CLASSES
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from tests.synth.lively_wavenet import SMALL, lively
from tests.trainer.tiny_data import SIZES, write_manifest
from trainer.mel2mel.settings import Mel2MelSettings, Mel2MelSizes
from trainer.mel2mel.training import train
from trainer.run.checkpoint import check_config, load_checkpoint
from trainer.run.plan import TrainingPlan
from trainer.run.weights import read_config
from trainer.wavenet.guided_data import GuidedData
from trainer.wavenet.guided_training import REACH, train_guided
from trainer.wavenet.guides import make_guides, read_guides
from trainer.wavenet.led import led_sound
from trainer.wavenet.own_takes import OwnTakes, own_take
from trainer.wavenet.settings import WaveNetSettings, WaveNetSizes
from trainer.wavenet.teacher_forcing import TeacherForcing

CPU = torch.device("cpu")
GUIDED = replace(SMALL, guide=3, sharpness=2.0, emphasis=0.5)


@pytest.fixture(scope="module")
def predictor(data, tmp_path_factory):
    """The folder of a run of mel2mel."""
    run = tmp_path_factory.mktemp("mel2mel")
    plan = TrainingPlan(data=data, run=run, batch=3, frames=24, iterations=2, halve_every=10**6)
    train(plan, Mel2MelSettings(sizes=SIZES["mel2mel"]))
    return run


@pytest.fixture(scope="module")
def guides(data, predictor, tmp_path_factory):
    out = tmp_path_factory.mktemp("guides")
    make_guides(data, predictor, out, 0.85, 1)
    return out


def noise_between(one: np.ndarray, other: np.ndarray) -> float:
    """Signal-to-noise ratio in dB."""
    return float(10 * np.log10(np.square(one).sum() / np.square(one - other).sum()))


def test_true_magnitudes_led_by_the_original_are_the_original():
    random = np.random.default_rng(0)
    time = np.arange(32_000) / 16_000
    phases = random.uniform(0, 6, 3)
    tones = zip((220, 331, 2e3), phases, strict=True)
    waves = [np.sin(2 * np.pi * hz * time + phase) for hz, phase in tones]
    original = 0.1 * np.sum(waves, axis=0)
    analysis = Analysis()
    frames = log_magnitudes(torch.from_numpy(original).float(), analysis).numpy()
    sound = led_sound(frames, original, analysis)
    middle = slice(2_000, -2_000)
    assert sound.shape == original.shape and noise_between(original[middle], sound[middle]) > 20


def test_guides_are_made_once_and_go_on_where_they_stopped(data, predictor, guides):
    told, made = read_guides(guides, "train")
    assert len(made) == len(list((data / "train").glob("*.npz")))
    assert told.emphasis == 0.85 and told.patches == ["reed", "bell", "string"]
    some = sorted((guides / "train").glob("*.npz"))
    before, lost = some[1].stat().st_mtime_ns, some[0].read_bytes()
    some[0].unlink()
    make_guides(data, predictor, guides, 0.85, 1)
    assert some[0].read_bytes() == lost and some[1].stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="guides.yaml: guides of another kind"):
        make_guides(data, predictor, guides, 0.5, 1)


def test_sequences_lie_where_their_samples_do(guides):
    data = GuidedData(guides, "train", 8, REACH, CPU)
    starts = data.draw(6, torch.Generator().manual_seed(3))
    cut = data.cut(starts)
    assert cut.mel.shape == (6, 8, 80) and cut.guide.shape == (6, 8 * 128 + 2 * REACH)
    later = data.cut(starts[:1] + 0).target
    assert torch.equal(later, cut.target[:1])
    _, made = read_guides(guides, "train")
    whole = torch.cat([torch.from_numpy(g.target) for g in made]).long()
    windows = whole.unfold(0, cut.target.shape[1], 128)
    assert all((windows == row).all(1).any() for row in cut.target)


def test_a_guide_and_own_takes_reach_the_loss_and_its_gradients():
    network = lively(GUIDED).requires_grad_(True)
    random = torch.Generator().manual_seed(0)
    mel = torch.randn(2, 3, GUIDED.mels, generator=random)
    target, heard = torch.randint(CLASSES, (2, 2, 3 * GUIDED.hop), generator=random)
    guide = torch.randint(CLASSES, (2, 3 * GUIDED.hop + 6), generator=random)
    logits = network(mel, heard, guide)
    wanted = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
    loss = TeacherForcing(GUIDED).loss(network, mel, target, torch.float32, guide, heard)
    torch.testing.assert_close(loss, wanted)
    found = torch.autograd.grad(wanted, [network.guide.weight, network.layers[0].gate.weight])
    own = torch.autograd.grad(loss, [network.guide.weight, network.layers[0].gate.weight])
    for here, there in zip(own, found, strict=True):
        torch.testing.assert_close(here, there, atol=1e-6, rtol=1e-3)


def test_a_take_is_what_the_sampler_draws_and_never_another(guides):
    data = GuidedData(guides, "val", 8, 3, CPU)
    network = lively(replace(GUIDED, mels=80))
    starts = data.draw(3, torch.Generator().manual_seed(0))
    take = own_take(network, data, starts, 5)
    assert take.shape == (3, 8 * 128) and len(take.unique()) > 10
    assert torch.equal(take, own_take(network, data, starts, 5))
    assert not torch.equal(take, own_take(network, data, starts, 6))


def plan_of(run, iterations, **more) -> TrainingPlan:
    return TrainingPlan(
        run=run, batch=4, frames=6, halve_every=10**6, iterations=iterations, **more
    )


def test_training_learns_and_resumes_exactly(guides, tmp_path):
    settings = WaveNetSettings(
        sizes=WaveNetSizes(layers=3, cycle=3, residual=8, skip=8),
        guides=guides,
        own_after=4,
        own_every=3,
        own_share=0.5,
    )
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_guided(plan_of(whole, 11), settings)
    for stop in (2, 5, 8, 11):
        train_guided(plan_of(parts, stop), settings)
    once, pieces = (load_checkpoint(run)["network"] for run in (whole, parts))
    assert all(torch.equal(once[name], pieces[name]) for name in once)
    log = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert {"take_db", "guide_db", "led", "own_share"} <= log[-1].keys()
    assert isinstance(log[-1]["validation"], float)


@pytest.mark.parametrize("more", [{"batch": 8}, {"frames": 5}, {"own_every": 30}])
def test_takes_of_another_count_or_length_are_drawn_anew(guides, tmp_path, more):
    sizes = WaveNetSizes(layers=3, cycle=3, residual=8, skip=8)
    settings = WaveNetSettings(sizes=sizes, guides=guides, own_after=1, own_every=20, own_share=0.5)
    train_guided(plan_of(tmp_path, 4), settings)
    other = replace(settings, **{k: v for k, v in more.items() if k == "own_every"})
    plan = replace(plan_of(tmp_path, 8), **{k: v for k, v in more.items() if k != "own_every"})
    train_guided(plan, other)
    kept = load_checkpoint(tmp_path)
    count = round(0.5 * plan.batch) * other.own_every // 2
    assert kept["progress"].iteration == 8
    assert kept["objective"]["takes"].shape == (count, plan.frames * 128)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_takes_go_on_as_they_were_kept(guides, device):
    """Those too that a GPU draws beside the steps, for later."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    data = GuidedData(guides, "train", 4, 3, torch.device(device))
    network = lively(replace(GUIDED, mels=80)).to(device)

    def step(takes: OwnTakes, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = torch.Generator().manual_seed(number)
        with torch.no_grad():
            network.end.bias.copy_(torch.randn(CLASSES, generator=random))
        return takes.next(torch.arange(3))

    whole, parts = (OwnTakes(network, data, 3, 2, 0) for _ in range(2))
    once, kept = [], {}
    for number in range(8):
        once.append(step(whole, number))
        if number == 2:
            kept = whole.kept()
    parts.restore(kept)
    for number in range(3, 8):
        starts, classes = step(parts, number)
        assert torch.equal(starts, once[number][0]) and torch.equal(classes, once[number][1])


def test_guides_of_another_network_are_not_gone_on_with(data, guides, predictor, tmp_path):
    out, other = shutil.copytree(guides, tmp_path / "guides"), tmp_path / predictor.name
    told = yaml.safe_load((out / "guides.yaml").read_text())
    weights = (predictor / "weights.safetensors").read_bytes()
    assert told["mel2mel_sha256"] == hashlib.sha256(weights).hexdigest()
    plan = TrainingPlan(
        data=data, run=other, batch=3, frames=24, iterations=1, halve_every=10**6, seed=5
    )
    train(plan, Mel2MelSettings(sizes=SIZES["mel2mel"]))
    complaint = r"guides.yaml: guides of another kind \(mel2mel_sha256\); choose another folder"
    with pytest.raises(ValueError, match=complaint):
        make_guides(data, other, out, 0.85, 1)
    # Older guides do not say of which weights they are, and that stays so.
    del told["mel2mel_sha256"]
    (out / "guides.yaml").write_text(yaml.safe_dump(told))
    make_guides(data, other, out, 0.85, 1)
    assert yaml.safe_load((out / "guides.yaml").read_text()) == told
    with pytest.raises(ValueError, match=r"guides of another kind \(emphasis\)"):
        make_guides(data, other, out, 0.5, 1)


def test_guides_need_a_mel2mel_with_a_fine_head_and_its_instruments(
    data, guides, predictor, tmp_path
):
    plain = TrainingPlan(
        data=data, run=tmp_path / "plain", batch=3, frames=24, iterations=1, halve_every=10**6
    )
    train(plain, Mel2MelSettings(sizes=Mel2MelSizes(hidden=8, no_fine=True)))
    with pytest.raises(ValueError, match="plain: has no fine head, which guides are made of"):
        make_guides(data, plain.run, tmp_path / "out", 0.85, 1)
    sizes = WaveNetSizes(layers=3, cycle=3, residual=8, skip=8)
    run = tmp_path / "vocoder"
    train_guided(plan_of(run, 1), WaveNetSettings(sizes=sizes, guides=guides, own_share=0.0))
    with pytest.raises(ValueError, match="vocoder.weights.safetensors: not weights of a mel2mel"):
        make_guides(data, run, tmp_path / "out", 0.85, 1)
    other = shutil.copytree(data, tmp_path / "other")
    write_manifest(other, {"reed": 20, "string": 48, "bell": 14})
    with pytest.raises(ValueError, match="of other instruments .number 2: bell there, string"):
        make_guides(other, predictor, tmp_path / "out", 0.85, 1)
    assert not (tmp_path / "out").exists()


def test_a_take_can_be_heard_beside_its_guide(guides, tmp_path):
    sizes = WaveNetSizes(layers=3, cycle=3, residual=8, skip=8)
    settings = WaveNetSettings(sizes=sizes, guides=guides, clip_every_minutes=1.0)
    train_guided(plan_of(tmp_path, 1), settings)
    (path,) = (tmp_path / "sketches").glob("*.wav")
    sound, rate = soundfile.read(path)
    assert rate == 16_000 and len(sound) == 3 * 6 * 128
    assert np.abs(sound[: 6 * 128]).max() > 0.01


def test_weights_may_go_on_with_another_sharpness(guides, tmp_path):
    sizes = WaveNetSizes(layers=3, cycle=3, residual=8, skip=8)
    blunt = WaveNetSettings(sizes=sizes, guides=guides, sharpness=1.0)
    train_guided(plan_of(tmp_path / "blunt", 1), blunt)
    weights = tmp_path / "blunt" / "weights.safetensors"
    train_guided(plan_of(tmp_path / "sharp", 1, init=weights), replace(blunt, sharpness=9.0))
    assert read_config(tmp_path / "sharp" / "weights.safetensors")["sharpness"] == 9
    with pytest.raises(ValueError, match="of another configuration .guide: 16 there, 8 here"):
        check_config(weights, WaveNetConfig(guide=8, emphasis=0.85, **asdict(sizes)), {})


def test_a_guide_that_is_right_is_followed(guides, tmp_path):
    right = tmp_path / "guides"
    shutil.copytree(guides, right)
    for path in right.glob("*/*.npz"):
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **arrays | {"guide": arrays["target"]})
    sizes = WaveNetSizes(layers=3, cycle=3, residual=16, skip=16)
    settings = WaveNetSettings(sizes=sizes, guides=right, own_share=0.0)
    run = tmp_path / "run"
    train_guided(plan_of(run, 250, learning_rate=4e-3), settings)
    network = WaveNet(WaveNetConfig(guide=REACH, emphasis=0.85, **asdict(sizes)))
    network.load_state_dict(load_checkpoint(run)["network"])
    data = GuidedData(right, "val", 6, REACH, CPU)
    cut = data.cut(data.draw(12, torch.Generator().manual_seed(0)))
    forcing = TeacherForcing(network.config)
    with torch.no_grad():
        told = forcing.loss(network, cut.mel, cut.target, torch.float32, cut.guide)
        wrong = forcing.loss(network, cut.mel, cut.target, torch.float32, cut.guide.roll(1, 0))
    assert told < wrong - 0.2


def test_flags_that_guides_leave_no_choice_of():
    with pytest.raises(ValueError, match="--mel2mel: expected without --guides"):
        WaveNetSettings(guides=Path("a"), mel2mel=Path("b")).check()
