"""Guides of a data set: made once, and kept beside it.

A folder of guides has guides.yaml, which says what they were made of, and one .npz for each
excerpt of train/ and val/: what a WaveNet with a guide hears and what it should say, as classes.
Each file is written whole, so an interrupted preparation goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any
from zipfile import BadZipFile

import numpy as np
import torch
import yaml
from annotated_types import Interval
from pydantic import Strict
from tqdm import tqdm

from common.documents import read_document
from common.files import remove_partials, write_whole
from common.threads import end_with_parent
from synth.mel import FLOOR, Analysis
from synth.mel2mel.network import Mel2Mel
from synth.movement import Movement
from synth.vocoders.spectral.vocoder import CEILING
from synth.vocoders.wavenet.levels import describe, frame_tables, to_classes
from trainer.data.dataset import Excerpt, analysis_of, load_excerpt
from trainer.data.manifest import read_manifest
from trainer.mel2mel.training import draw_lookaheads
from trainer.wavenet.guesses import load_mel2mel, mel2mel_weights
from trainer.wavenet.led import led_sound

FILE = "guides.yaml"
SPLITS = ("train", "val")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidesFile:
    """guides.yaml. patches: names, in the order that instruments count; mel2mel: the folder whose
    network predicted, mel2mel_sha256: of its file of weights, which older folders do not state;
    rate in samples a second, hop and window in samples."""

    patches: list[str]
    mel2mel: str
    mel2mel_sha256: str | None = None
    rate: Annotated[int, Strict(), Interval(ge=8_000, le=192_000)]
    hop: Annotated[int, Strict(), Interval(ge=16, le=8_192)]
    window: Annotated[int, Strict(), Interval(ge=64, le=65_536)]
    mels: Annotated[int, Strict(), Interval(ge=1, le=1_024)]
    emphasis: Annotated[float, Interval(ge=0, le=0.99)]

    @property
    def analysis(self) -> Analysis:
        return Analysis(self.rate, self.hop, self.window, self.mels)


@dataclass(frozen=True, slots=True)
class Guided:
    """An excerpt with its guide. n hops: mel (n, mels) float16, of the frame that ends each hop;
    levels (n + 1,) float32, of the frames at which hops begin and end; target, guide (n * hop,)
    uint8: classes of the original and of the guide; instrument: index in the bank."""

    mel: np.ndarray
    levels: np.ndarray
    target: np.ndarray
    guide: np.ndarray
    instrument: int


def make_guides(data: Path, mel2mel: Path, out: Path, emphasis: float, workers: int) -> Path:
    """Make the guides that are not there yet, with a progress bar; returns guides.yaml.

    Raises ValueError for a data set or a network that does not fit, or for guides of another kind
    in the folder.
    """
    manifest = read_manifest(data)
    analysis, patches = analysis_of(manifest), list(manifest.programs)
    if analysis.wide_bands:
        raise ValueError(f"{data}: expected a data set at 16000 Hz, got {analysis.rate}")
    if not load_mel2mel(mel2mel, patches, analysis).config.fine:
        raise ValueError(f"{mel2mel}: has no fine head, which guides are made of")
    sizes = {name: getattr(analysis, name) for name in ("rate", "hop", "window", "mels")}
    sha256 = hashlib.sha256(mel2mel_weights(mel2mel).read_bytes()).hexdigest()
    told = GuidesFile(
        patches=patches, mel2mel=mel2mel.name, mel2mel_sha256=sha256, emphasis=emphasis, **sizes
    )
    if (out / FILE).is_file():
        told = _gone_on_with(out / FILE, told)
    for split in SPLITS:
        (out / split).mkdir(parents=True, exist_ok=True)
        remove_partials(out / split)
    stated = {name: value for name, value in asdict(told).items() if value is not None}
    write_whole(out / FILE, yaml.safe_dump(stated, sort_keys=False))
    files = [p.relative_to(data) for split in SPLITS for p in sorted((data / split).glob("*.npz"))]
    wanted = [file for file in files if not (out / file).is_file()]
    # All instruments alike, should it be stopped half-way.
    wanted.sort(key=lambda file: (file.parts[0] != "val", zlib.crc32(file.name.encode())))
    for _ in tqdm(
        _made(wanted, (data, mel2mel, out, told), workers),
        desc="guides",
        total=len(files),
        initial=len(files) - len(wanted),
        unit="excerpt",
    ):
        pass
    return out / FILE


def _gone_on_with(path: Path, told: GuidesFile) -> GuidesFile:
    """What guides of before and those to be made are. ValueError if they are of another kind."""
    before = read_document(path, GuidesFile)
    if before.mel2mel_sha256 is None:
        # Of which weights the older guides are, nobody knows.
        told = replace(told, mel2mel_sha256=None)
    pairs = asdict(before).items(), asdict(told).values()
    others = [name for (name, there), here in zip(*pairs, strict=True) if there != here]
    if others:
        raise ValueError(
            f"{path}: guides of another kind ({', '.join(others)}); choose another folder"
        )
    return told


def read_guides(folder: Path, split: str) -> tuple[GuidesFile, list[Guided]]:
    """All guides of a split, with a progress bar. ValueError for none, or a broken one."""
    if not (folder / FILE).is_file():
        raise ValueError(f"{folder}: no guides here; make some with `guides`")
    told = read_document(folder / FILE, GuidesFile)
    paths = sorted((folder / split).glob("*.npz"))
    if not paths:
        raise ValueError(f"{folder / split}: no guides; let `guides` finish")
    return told, [_read(path, told) for path in tqdm(paths, desc=f"load {split}", unit="excerpt")]


def guided(
    excerpt: Excerpt,
    network: Mel2Mel,
    movement: Movement | None,
    emphasis: float,
    seed: int,
) -> Guided:
    """An excerpt with a guide of what a network predicts for it, at a lookahead drawn at random.

    movement: what moves the predicted spectra, or None for spectra that stand still.
    """
    analysis, random = network.config.analysis, torch.Generator().manual_seed(seed)
    (lookahead,) = draw_lookaheads(1, random)
    frames = len(excerpt.roll)
    roll = torch.from_numpy(excerpt.roll).float()[None] / 127
    with torch.inference_mode():
        embedding = network.instruments(torch.tensor([excerpt.instrument]))[:, None]
        told = network(roll, embedding, lookahead)
        spectra = told.fine
        if movement is not None:
            draws = torch.rand(1, frames, movement.draws_per_frame, generator=random)
            spectra, _ = movement.step(
                spectra,
                told.spread,
                told.memory,
                movement.initial_state(1),
                draws.clamp(min=1e-7),
            )
    fine = spectra[0].clamp(math.log(FLOOR), CEILING).numpy()
    tables = frame_tables(analysis, emphasis)
    mel, levels = np.empty((frames, analysis.mels), np.float32), np.empty(frames)
    describe(fine, tables, mel, levels)
    original = np.zeros(frames * analysis.hop, np.float32)
    heard = excerpt.audio[: len(original)]
    original[: len(heard)] = heard / np.float32(32767)
    sound = led_sound(fine, original, analysis)
    hops = frames - 1
    classes = np.empty((2, hops * analysis.hop), np.uint8)
    for samples, out in zip((original.astype(np.float64), sound), classes, strict=True):
        to_classes(samples[: out.size], 0.0, levels, emphasis, out)
    return Guided(
        mel[1:].astype(np.float16), levels.astype(np.float32), *classes, excerpt.instrument
    )


Made = tuple[Path, Path, Path, GuidesFile]
"""Folders of the data set, the network and the guides, and what the guides are."""


def _made(files: list[Path], what: Made, workers: int) -> Iterator[object]:
    """Make the guides of some excerpts, at once with several workers."""
    if workers == 1:
        _start(what)
        yield from map(_make, files)
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process
    with ProcessPoolExecutor(workers, initializer=_start_process, initargs=(what,)) as pool:
        waiting = [pool.submit(_make, file) for file in files]
        signal.signal(signal.SIGINT, previous)
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


_what: Made
_network: Mel2Mel


def _start_process(what: Made) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    _start(what)


def _start(what: Made) -> None:
    global _what, _network
    torch.set_num_threads(1)
    data, mel2mel, _, told = _what = what
    _network = load_mel2mel(mel2mel, told.patches, analysis_of(read_manifest(data)))


def _make(file: Path) -> None:
    data, _, out, told = _what
    seed = zlib.crc32(os.fsencode(file.name))
    moves = _network.config.movement and seed % 2
    movement = Movement(told.analysis.bands) if moves else None
    made = guided(load_excerpt(data / file, told.patches), _network, movement, told.emphasis, seed)
    packed = BytesIO()
    np.savez(packed, **asdict(made))
    write_whole(out / file, packed.getvalue())


def _read(path: Path, told: GuidesFile) -> Guided:
    try:
        with np.load(path) as file:
            arrays: dict[str, Any] = {name: file[name] for name in Guided.__slots__}
    except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: no guide ({error})") from None
    hops, instrument = len(arrays["mel"]), int(arrays.pop("instrument"))
    wanted = {
        "mel": (hops, told.mels),
        "levels": (hops + 1,),
        "target": (hops * told.hop,),
        "guide": (hops * told.hop,),
    }
    if any(arrays[name].shape != shape for name, shape in wanted.items()) or hops < 1:
        raise ValueError(f"{path}: no guide of {told.hop} samples a hop and {told.mels} mel bands")
    if not 0 <= instrument < len(told.patches):
        raise ValueError(f"{path}: instrument {instrument} is none of {len(told.patches)}")
    return Guided(**arrays, instrument=instrument)
