"""One contract for every streaming stage; streaming.py says what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from daw_bridge.windows import Windows
from synth.bank.bank import load_bank
from synth.bend import PitchBend
from synth.engine import Engine
from synth.instrument import Instrument
from synth.limiter import Limiter
from synth.mel import Analysis, band_centres, log_magnitudes
from synth.mel2mel.keys import KeyTracks, initial_keys, play_keys
from synth.mel2mel.network import QUIET, Mel2Mel, Mel2MelConfig, Spectra
from synth.mel2mel.step import Mel2MelState, Mel2MelStep
from synth.mixer import Mixer
from synth.movement import Movement
from synth.output.resample import Resampler
from synth.predictor import NoState
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.guided import GuidedVocoder
from synth.vocoders.wavenet.network import WaveNetConfig
from synth.vocoders.wavenet.samplers import cpu, reference
from synth.vocoders.wavenet.samplers.contract import Sampler, initial_state
from synth.vocoders.wavenet.vocoder import WaveNetVocoder, wavenet_vocoder
from synth.vocoders.wavenet.wide import WideVocoder
from tests.synth.lively_wavenet import GUIDED, ODD, SMALL, lively
from tests.synth.rolls import make_embedding, make_late, make_roll
from tests.synth.scores import busy_score
from tests.synth.streaming import (
    Inputs,
    Stage,
    check_blocks,
    check_forward,
    check_nothing,
    check_rows,
    check_snapshot,
    vocoder_stage,
)
from tests.toy_bank import (
    ANALYSIS,
    PATCHES,
    make_mel2mel,
    make_moving_mel2mel,
    make_wavenet,
)
from tests.toy_bank import GUIDED as TOY_GUIDED
from tests.toy_bank import WAVENET as TOY_WAVENET

FRAMES = 35
"""No multiple of the block sizes, so that a short block comes too."""
PLAIN = Mel2MelConfig(fine=False, timbre_features=0)
FINE = Mel2MelConfig(hidden=8, timbre_features=0, analysis=Analysis(window=512, mels=12))
DEFAULT = Analysis()
BANDED = Analysis(rate=48_000, hop=384, window=3_072, wide_bands=48)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(config: Mel2MelConfig) -> Mel2Mel:
    torch.manual_seed(3)
    return Mel2Mel(config).eval().requires_grad_(False)


def blending(basis: int = 0) -> Mel2Mel:
    """With decays and levels, its timbres mixed as shares, and a few wide bands."""
    analysis = Analysis(48_000, 384, 1_536, mels=12, wide_bands=6)
    sizes = {"hidden": 16, "timbre_features": 4, "decay_bands": 6, "blend": 1, "basis": basis}
    net = network(Mel2MelConfig(3, **sizes, analysis=analysis))
    for parameter in net.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def both(spectra: Spectra) -> Tensor:
    """Both heads' bands, side by side, and how they move, if they do."""
    told = [spectra.mel, spectra.fine, spectra.spread]
    if spectra.memory is not None:
        told.append(spectra.memory[..., None])
    return torch.cat([bands for bands in told if bands is not None], -1)


def mel2mel(net: Mel2Mel, lookahead: int) -> Stage:
    """A stream runs behind: silence after the end lets the last frames come out."""
    live = Mel2MelStep(net, lookahead)
    roll, embedding = make_roll(3, FRAMES, seed=2), make_embedding(3, FRAMES)
    roll = torch.cat([roll, torch.zeros(3, lookahead, roll.shape[-1])], 1)
    late = make_late(roll)
    embedding = torch.cat([embedding, embedding[:, -1:].expand(-1, lookahead, -1)], 1)

    def step(inputs: Inputs, state: Mel2MelState) -> tuple[Spectra, Mel2MelState]:
        notes, timbre, onsets = inputs
        return live.step(notes, timbre, state, onsets), state

    def forward(inputs: Inputs) -> Tensor:
        notes, timbre, onsets = (x[:, :FRAMES] for x in inputs)
        heard = net(notes, timbre, lookahead, late=onsets)
        early = both(step(tuple(x[:, :lookahead] for x in inputs), live.initial_state(3))[0])
        levels = sum(x.shape[-1] for x in (heard.mel, heard.fine) if x is not None)
        assert (early[..., :levels] == np.float32(QUIET)).all()
        return torch.cat([early, both(heard)], 1)

    return Stage(
        live.initial_state,
        lambda inputs, state: (both(step(inputs, state)[0]), state),
        (roll, embedding, late),
        forward,
        tolerance=1e-5,
    )


def keys() -> Stage:
    def step(inputs: Inputs, state: KeyTracks) -> tuple[Tensor, KeyTracks]:
        tracks, after = play_keys(inputs[0], state, inputs[1])
        return torch.stack([tracks.velocity, tracks.age, tracks.rest, tracks.late], -1), after

    roll = make_roll(3, FRAMES)
    return Stage(initial_keys, step, (roll, make_late(roll)))


def spectral(analysis: Analysis, lookahead: int | None) -> Stage:
    """Struck, decaying harmonic notes, the first of them low."""
    time = torch.arange(FRAMES * analysis.hop) / analysis.rate
    pitch = torch.tensor([41.2, 261.6, 740.0])[:, None, None] * torch.arange(1, 9)[None, :, None]
    partials = (2 * torch.pi * pitch * time).sin() / torch.arange(1, 9)[None, :, None]
    sound = 0.1 * partials.sum(1) * torch.exp(-(time % 0.09) / 0.05)
    frames = log_magnitudes(sound, analysis)
    return vocoder_stage(SpectralVocoder(analysis, lookahead), frames)


def movement() -> Stage:
    """Bands that move more or less, some of them not at all, in parts of different memories."""
    stage = Movement(50)
    spread = (noise(3, FRAMES, 50, seed=1) / 2).clamp(min=0)
    memory = 1 + 20 * noise(3, FRAMES, seed=2).abs()
    generator = torch.Generator().manual_seed(3)
    draws = torch.rand(3, FRAMES, stage.draws_per_frame, generator=generator).clamp(min=1e-7)
    return Stage(
        stage.initial_state,
        lambda inputs, state: stage.step(*inputs[:3], state, inputs[3]),
        (noise(3, FRAMES, 50) - 5, spread, memory, draws),
    )


def wavenet(config: WaveNetConfig, sampler: str, frames: int = FRAMES) -> Stage:
    vocoder = WaveNetVocoder(lively(config), sampler)
    return vocoder_stage(vocoder, noise(3, frames, config.mels, seed=5))


def guided(config: WaveNetConfig, sampler: str, frames: int = FRAMES) -> Stage:
    """Frames that rise above the floor here and there."""
    analysis = Analysis(window=512, mels=config.mels)
    vocoder = GuidedVocoder(lively(config), sampler, analysis)
    return vocoder_stage(vocoder, 3 * noise(3, frames, analysis.bands, seed=5) - 9)


def wide(config: WaveNetConfig, frames: int = FRAMES) -> Stage:
    """The same for a bank of 48 kHz."""
    analysis = Analysis(48_000, 384, 1_536, mels=config.mels, wide_bands=8)
    vocoder = WideVocoder(lively(config), "cpu", analysis)
    return vocoder_stage(vocoder, 3 * noise(3, frames, analysis.bands, seed=5) - 9)


def sampler(module: Sampler, config: WaveNetConfig) -> Stage:
    """Classes drawn of conditioning that is upsampled already; sizes on both sides of 16."""
    packed = module.pack(lively(config).weights())
    draws = torch.rand(3, 99, generator=torch.Generator().manual_seed(2))
    return Stage(
        lambda rows: initial_state(config.dilations, config.residual, rows),
        lambda inputs, state: module.sample(packed, inputs[0], state, inputs[1]),
        (noise(3, 99, config.conditioning, seed=2), draws),
        blocks=(1, 7, 16, 50),
    )


def bend() -> Stage:
    """Frames that each bend by themselves; where the wheel rests, not a bit of them."""
    bent = PitchBend(band_centres(DEFAULT, "fine"))

    def step(inputs: Inputs, state: NoState) -> tuple[Tensor, NoState]:
        frames = inputs[0].clone()
        for row, semitones in zip(frames, inputs[1], strict=True):
            bent(row.numpy(), semitones.numpy())
        return frames, state

    semitones = noise(3, FRAMES, seed=1)
    semitones[:, ::3] = 0
    return Stage(lambda rows: NoState(), step, (noise(3, FRAMES, DEFAULT.bands) - 5, semitones))


def limiter() -> Stage:
    def step(inputs: Inputs, state: NoState) -> tuple[Tensor, NoState]:
        return torch.from_numpy(Limiter().limit(inputs[0].clone().numpy())), state

    return Stage(lambda rows: NoState(), step, (noise(3, 400, 2),))


def mixer() -> Stage:
    """Samples of a part, and gains of frames two later than those that sound."""
    hop = ANALYSIS.hop

    def begin(rows: int) -> Mixer:
        made = Mixer(hop, 2, Limiter())
        made.begin(1)
        return made

    def step(inputs: Inputs, state: Mixer) -> tuple[Tensor, Mixer]:
        sound, gains = (x[0].numpy() for x in inputs)
        state.open(len(gains))
        state.add(1, sound.reshape(-1), gains, 0)
        return torch.from_numpy(state.close())[None], state

    return Stage(begin, step, (0.1 * noise(1, FRAMES, hop), noise(1, FRAMES, 2, seed=1)))


def resampler(rate_in: int, rate_out: int) -> Stage:
    def step(inputs: Inputs, state: Resampler) -> tuple[Tensor, Resampler]:
        return torch.from_numpy(state.step(inputs[0][0].numpy()))[None], state

    sound = noise(1, 4_000, 2).clamp(-1, 1)
    return Stage(lambda rows: Resampler(rate_in, rate_out), step, (sound,), blocks=(1, 7, 128))


@dataclass(slots=True)
class Take:
    """An engine and the bridge's windows, both in the midst of a score."""

    engine: Engine
    windows: Windows


def engine(instrument: Instrument, lookahead: int) -> Stage:
    """The busy score: 80 frames, given by their numbers."""
    hop, score = ANALYSIS.hop, busy_score()

    def step(inputs: Inputs, state: Take) -> tuple[Tensor, Take]:
        start, count = state.engine.frame, inputs[0].shape[1]
        due = [e for e in score if start * hop <= e.time < (start + count) * hop]
        windows = state.windows.frames(due, start, count)
        return torch.from_numpy(state.engine.render(windows, count))[None], state

    def begin(rows: int) -> Take:
        return Take(instrument.engine(lookahead, seed=3), Windows(hop, PATCHES[0].embedding))

    return Stage(begin, step, (torch.arange(80)[None],), blocks=(1, 3, 16))


SPECTRAL: dict[str, Callable[[], Stage]] = {
    "spectral vocoder, one frame ahead": lambda: spectral(DEFAULT, 1),
    "spectral vocoder": lambda: spectral(DEFAULT, None),
    "spectral vocoder, half a window ahead": lambda: spectral(DEFAULT, 4),
    "spectral vocoder at 48 kHz": lambda: spectral(BANDED, None),
}
MEL2MEL: dict[str, Callable[[], Stage]] = {
    "mel2mel": lambda: mel2mel(make_mel2mel(), 0),
    "mel2mel, one frame ahead": lambda: mel2mel(make_mel2mel(), 1),
    "mel2mel, four frames ahead": lambda: mel2mel(make_mel2mel(), 4),
    "mel2mel of decays and blends": lambda: mel2mel(blending(), 4),
    "mel2mel with a basis": lambda: mel2mel(blending(3), 4),
    "the paper's mel2mel": lambda: mel2mel(network(PLAIN), 4),
    "mel2mel that moves": lambda: mel2mel(make_moving_mel2mel(), 2),
    "mel2mel without templates": lambda: mel2mel(network(FINE), 2),
}
WAVENET: dict[str, Callable[[], Stage]] = {
    "wavenet vocoder, cpu": lambda: wavenet(SMALL, "cpu"),
    "wavenet vocoder, cpu, odd sizes": lambda: wavenet(ODD, "cpu"),
    "wavenet vocoder, reference": lambda: wavenet(SMALL, "reference", 3),
    "guided vocoder, cpu": lambda: guided(GUIDED, "cpu"),
    "guided vocoder, reference": lambda: guided(GUIDED, "reference", 9),
    "guided vocoder, cpu, 48 kHz": lambda: wide(GUIDED),
    "cpu sampler, guided": lambda: sampler(cpu, GUIDED),
    "reference sampler, guided": lambda: sampler(reference, GUIDED),
    "cpu sampler": lambda: sampler(cpu, SMALL),
    "cpu sampler, odd sizes": lambda: sampler(cpu, ODD),
    "reference sampler": lambda: sampler(reference, SMALL),
    "reference sampler, odd sizes": lambda: sampler(reference, ODD),
}
ROWS = {**MEL2MEL, **SPECTRAL, **WAVENET, "pitch bend": bend, "movement": movement}
"""Stages whose states hold a row for each part."""
MADE_ANEW = {
    "keys": keys,
    "limiter": limiter,
    "mixer": mixer,
    "resampler to 48 kHz": lambda: resampler(16_000, 48_000),
    "resampler to 44.1 kHz": lambda: resampler(16_000, 44_100),
    "resampler to 96 kHz": lambda: resampler(16_000, 96_000),
    "resampler from 48 to 44.1 kHz": lambda: resampler(48_000, 44_100),
    "resampler from 48 to 16 kHz": lambda: resampler(48_000, 16_000),
}
"""Stages without."""
TOY_WAVENETS = {"wavenet": TOY_WAVENET, "guided": TOY_GUIDED}
ENGINES = [(name, ahead) for name in ("spectral", "wavenet", "guided") for ahead in (0, 4)]


@cache
def stage(name: str) -> Stage:
    return {**ROWS, **MADE_ANEW}[name]()


@pytest.mark.parametrize("name", [*ROWS, *MADE_ANEW])
def test_no_block_size_changes_a_bit(name):
    check_blocks(stage(name))


@pytest.mark.parametrize("name", ROWS)
def test_a_block_of_no_length_changes_nothing(name):
    check_nothing(stage(name))


@pytest.mark.parametrize("name", [*ROWS, "keys", "mixer"])
def test_a_copied_state_is_a_snapshot(name):
    check_snapshot(stage(name))


@pytest.mark.parametrize("name", ROWS)
def test_rows_leave_move_and_join(name):
    check_rows(stage(name))


@pytest.mark.parametrize("name", MEL2MEL)
def test_a_stream_is_what_forward_says(name):
    check_forward(stage(name))


@pytest.mark.parametrize(("vocoder", "lookahead"), ENGINES)
def test_the_engine_keeps_it_too(toy_bank, vocoder, lookahead):
    bank = load_bank(toy_bank)
    if vocoder == "spectral":
        chosen = SpectralVocoder(ANALYSIS)
    else:
        chosen = wavenet_vocoder(make_wavenet(TOY_WAVENETS[vocoder]), "cpu", ANALYSIS)
    check_blocks(engine(Instrument(bank, chosen), lookahead))


def test_an_engine_whose_bands_move_keeps_it(toy_bank):
    bank = load_bank(toy_bank)
    still, moving = (Instrument(bank, SpectralVocoder(ANALYSIS)) for _ in range(2))
    moving.mel2mel = make_moving_mel2mel()
    check_blocks(engine(moving, 4))
    whole = engine(moving, 4)
    heard, _ = whole.step(whole.inputs, whole.begin(1))
    unmoved, _ = whole.step(whole.inputs, engine(still, 4).begin(1))
    assert not torch.equal(heard, unmoved)


def test_a_stage_that_breaks_its_promises_is_found():
    """The checks themselves: a stage that hears block edges, and one that hears its neighbours."""
    whole = stage("keys")
    edges = replace(whole, step=lambda inputs, state: (inputs[0].cumsum(1), state))
    with pytest.raises(AssertionError, match="blocks of 1 change what comes out"):
        check_blocks(edges)
    crowd = replace(bend(), step=lambda inputs, state: (inputs[0] - inputs[0].mean(0), state))
    with pytest.raises(AssertionError, match="row 0 is another on its own"):
        check_rows(crowd)
