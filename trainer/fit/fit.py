"""`trainer fit`: from the files of a plan to a patch, and what is told about it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import torch

from common.folders import user_patches
from common.patch import Fitted, Patch, check_name
from common.version import version
from synth.bank.bank import Bank, load_bank
from synth.bank.patch_file import as_saved, save_patch
from synth.instrument import Instrument
from synth.mel import log_mel
from synth.vocoders.spectral.vocoder import SpectralVocoder
from trainer.bank.levels import even_gain_db
from trainer.encoder.guess import guess_of, load_encoder
from trainer.fit.fitting import FITTED, NOTED, Fit, Tell, fit_recording
from trainer.fit.picture import write_picture
from trainer.fit.plan import FitPlan
from trainer.fit.recording import Recording, read_recording
from trainer.fit.score import Score, make_score, read_score
from trainer.fit.takes import write_comparison
from trainer.fit.transcription import METHODS, events_of, transcribe, write_midi

READ = 0.15
"""The share of the work that is done when the recording has been read."""
TAG, DEEP_TAG = "fitted", "deep"
"""Of every such patch, and of those with adapted key templates, so that they can be found."""


def fit(plan: FitPlan, tell: Tell = lambda share: None) -> Iterator[str]:
    """Make the patch of a plan; yields lines that tell what was found, as it goes.

    tell: is told which share of the work is done, as far as that is known.

    Raises ValueError, before anything is written, for bad input, and OSError for what cannot be
    written.
    """
    bank = load_bank(plan.bank)
    if plan.deep and not bank.mel2mel_config.blend:
        raise ValueError(
            f"--deep: the key templates of {bank.path} have no levels; take another bank"
        )
    folder = plan.out or user_patches(bank.path.resolve().name)
    _check_free(plan, bank, folder)
    if plan.instant and plan.midi:
        raise ValueError("--instant: expected without --midi, which it would not read")
    if plan.instant and plan.deep:
        raise ValueError("--deep: expected without --instant, which fits nothing")
    recording = read_recording(plan.recording, bank.analysis.rate)
    tell(READ)
    if plan.instant:
        yield from _guess(plan, bank, recording, folder)
        return
    score, told = _score(plan, bank, recording)
    yield f"notes     {score.notes}, {told}"
    tell(NOTED)
    found = fit_recording(bank, recording, score, plan.midi is None, plan.deep, tell)
    tell(FITTED)
    if plan.midi:
        yield f"place     {_place(found, bank, recording)}"
    patch = _patch(plan, bank, recording, found, told)
    folder.mkdir(parents=True, exist_ok=True)
    save_patch(folder, patch, plan.overwrite)
    yield f"patch     {folder / f'{patch.name}.yaml'}"
    yield from _fit_in_words(found, bank, plan.deep)
    takes, names = [found.original, found.ours], [recording.name, patch.name]
    sound, picture = (plan.report / f"{patch.name}{end}" for end in (".wav", ".png"))
    write_comparison(sound, takes, bank.analysis.rate)
    yield f"compare   {sound} (the recording, then the patch)"
    write_picture(picture, names, takes, bank.analysis)
    yield f"picture   {picture}"


def _check_free(plan: FitPlan, bank: Bank, folder: Path) -> None:
    """Raises ValueError for a bad or taken name."""
    check_name(plan.name)
    taken = plan.name in bank.patches or (folder / f"{plan.name}.yaml").exists()
    if taken and not plan.overwrite:
        raise ValueError(f"--name {plan.name}: that patch exists; take another, or --overwrite")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder}: expected a folder, got a file")


def _guess(plan: FitPlan, bank: Bank, recording: Recording, folder: Path) -> Iterator[str]:
    """Save the patch that the bank's encoder hears in a recording."""
    encoder = load_encoder(bank)
    if encoder is None:
        raise ValueError(f"--instant: {bank.path} has no encoder; fit without, or train one")
    point = guess_of(encoder, log_mel(torch.from_numpy(recording.audio), bank.analysis))
    patches = torch.tensor([bank.patch(name).embedding for name in bank.names])
    nearest = bank.names[int((patches - point).norm(dim=1).argmin())]
    knobs = dict.fromkeys(bank.knobs, 0.5)
    inputs = tuple(point.tolist()) + (0.0,) * bank.more
    gain = even_gain_db(_instrument(bank), inputs, nearest)
    date = datetime.date.today().isoformat()
    patch = Patch(plan.name, tuple(point.tolist()), knobs, gain, tags=(TAG,), date=date)
    folder.mkdir(parents=True, exist_ok=True)
    save_patch(folder, as_saved(patch, bank.embedding_size, bank.knobs), plan.overwrite)
    yield f"patch     {folder / f'{patch.name}.yaml'}, guessed from {recording.name}"
    yield f"nearest   {nearest}"


def _instrument(bank: Bank) -> Instrument:
    return Instrument(bank, SpectralVocoder(bank.analysis))


def _score(plan: FitPlan, bank: Bank, recording: Recording) -> tuple[Score, str]:
    """The score of a plan, and where it comes from."""
    if plan.midi:
        return read_score(plan.midi, bank.analysis), plan.midi.name
    notes = transcribe(recording, plan.voices)
    path = plan.report / f"{plan.name}.mid"
    write_midi(path, notes)
    score = make_score(events_of(notes, bank.analysis.rate), bank.analysis)
    return score, f"transcribed by {METHODS[plan.voices]}"


def _place(found: Fit, bank: Bank, recording: Recording) -> str:
    place = found.place
    begins = recording.start - place.lag / bank.analysis.frame_rate
    line = f"the score begins at {begins:.2f} s of the recording"
    if place.doubtful:
        line += f"; doubtful (correlation {place.alike:.2f}, {place.clear:.2f} of the next best)"
    return line


def _fit_in_words(found: Fit, bank: Bank, deep: bool) -> Iterator[str]:
    yield f"distance  {found.distance:.1f} dB from the recording"
    if found.deep:
        yield f"deep      key templates adapted; without that, {found.plain_distance:.1f} dB"
    elif deep:
        yield "deep      adapted key templates come hardly nearer, so the patch has none"
    yield f"nearest   {found.nearest}, {found.nearest_distance:.1f} dB"
    yield f"at best   {found.own_distance:.1f} dB, as the bank's own sound would have"
    turned = ", ".join(f"{name} {value:.2f}" for name, value in found.knobs.items())
    if turned:
        yield f"knobs     {turned}"
    if found.edge:
        names = ", ".join(bank.axes[i] if bank.axes else f"timbre/{i}" for i in found.edge)
        yield f"edge      the point lies at the edge of the bank's span ({names})"
    if found.outside:
        line = "outside   this timbre lies outside the bank: no point of it sounds like that"
        yield line if deep else f"{line}; try --deep"


def _patch(plan: FitPlan, bank: Bank, recording: Recording, found: Fit, told: str) -> Patch:
    """The patch as its file will give it back."""
    knobs = dict.fromkeys(bank.knobs, 0.5) | dict(found.knobs)
    fitted = Fitted(
        recording.name,
        recording.sha256,
        told,
        found.gain_db,
        found.distance,
        found.nearest,
        found.nearest_distance,
        found.own_distance,
        version(),
    )
    patch = Patch(
        plan.name,
        found.embedding,
        knobs,
        even_gain_db(_instrument(bank), found.point, found.nearest),
        tags=(TAG, DEEP_TAG) if found.deep else (TAG,),
        date=datetime.date.today().isoformat(),
        fitted=fitted,
        deep=found.deep,
    )
    return as_saved(patch, bank.embedding_size, bank.knobs)
