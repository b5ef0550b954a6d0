"""A bank: one trained model and its instruments, as a folder.

bank.yaml states the sizes, knobs and provenance; mel2mel.safetensors and wavenet.safetensors
hold the networks; every other .yaml is a patch. Everything is checked when it is read, and
nothing in it is ever executed. A user's own patches lie in a folder of their own (own_patches.py);
there, too, a patch of the bank that was changed: without it, the bank's is back.
"""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from common.checks import brief, listed
from common.names import VocoderName
from common.patch import ALL_KEYS, Patch, check_name
from synth.bank.bank_file import read_bank_file
from synth.bank.deep_slots import DeepSlots
from synth.bank.own_patches import OwnPatches
from synth.bank.patch_file import (
    as_saved,
    load_patch,
    parsed_patch,
    patch_text,
    save_patch,
)
from synth.bank.weights_file import filled, read_weights
from synth.mel import Analysis
from synth.mel2mel.deep import blended
from synth.mel2mel.knobs import with_knobs
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig

NO_FAVOURITES: frozenset[str] = frozenset()
NOTHING_DEEP: Mapping[str, float] = MappingProxyType({})
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Bank:
    """A loaded bank. Any thread may look up and save its patches.

    ring_out_s: seconds after a part's last key within which it has died away. axes: a
    name for each coordinate, what it changes most; empty where none are stated. places: patch -> x
    and y, 0..1, on a map of a space of more than two coordinates, alike patches beside each other;
    only of patches that are there. knobs: name -> direction in the embedding space; if one has
    more numbers than an embedding, all have: those are the first of `KNOBS`
    (synth/mel2mel/knobs.py), which knobs alone reach. fidelity: vocoder -> mean correlation with
    the original, as measured when the bank was made. about: provenance, as bank.yaml tells it.
    patches: all of them, by name; never changed in place. own: the user's, None where patches are
    saved in the bank's folder.
    """

    path: Path
    mel2mel_config: Mel2MelConfig
    wavenet_config: WaveNetConfig | None
    ring_out_s: float
    axes: Sequence[str]
    places: Mapping[str, tuple[float, float]]
    knobs: Mapping[str, tuple[float, ...]]
    fidelity: Mapping[VocoderName, float]
    about: Mapping[str, Any]
    patches: Mapping[str, Patch]
    own: OwnPatches | None = None
    _factory: Mapping[str, Patch] = field(default_factory=dict)
    _saving: threading.Lock = field(default_factory=threading.Lock)
    _span: tuple[tuple[float, float], ...] = ()
    _edition: tuple[Mapping[str, Patch], Collection[str]] = ({}, ())
    _ordered: tuple[Mapping[str, Patch], list[str]] = field(default_factory=lambda: ({}, []))
    """The patches that were put in order last, and their names."""
    _deep: DeepSlots = field(default_factory=DeepSlots)

    @property
    def analysis(self) -> Analysis:
        return self.mel2mel_config.analysis

    @property
    def names(self) -> list[str]:
        """All patches: those that a program selects in its order, then the rest by name."""
        patches, names = self._ordered
        if patches is not self.patches:
            patches = self.patches
            order = {n: (p.program is None, p.program or 0, n) for n, p in patches.items()}
            names = sorted(order, key=order.__getitem__)
            self._ordered = patches, names
        return list(names)

    @property
    def edition(self) -> object:
        """The same object for as long as no patch comes, goes or changes, nor a favourite."""
        parts = self.patches, self.favourites
        if any(a is not b for a, b in zip(parts, self._edition, strict=True)):
            self._edition = parts
        return self._edition

    @property
    def own_names(self) -> Collection[str]:
        """The patches that are the user's own, and can be deleted."""
        return self.own.patches if self.own else ()

    @property
    def embedding_size(self) -> int:
        return self.mel2mel_config.embedding

    @property
    def programs(self) -> dict[int, str]:
        """General MIDI program -> patch name."""
        patches = (self.patches[name] for name in self.names)
        return {p.program: p.name for p in patches if p.program is not None}

    def patch(self, name: str) -> Patch:
        """The patch of that name; ValueError lists those there are."""
        try:
            return self.patches[name]
        except KeyError:
            raise ValueError(
                f"no patch {brief(name)} in {self.path}; it has: {listed(self.names)}"
            ) from None

    def save(
        self,
        name: str,
        *,
        embedding: tuple[float, ...],
        knobs: Mapping[str, float],
        gain_db: float,
        pan: float,
        overwrite: bool,
        keys: tuple[int, int] = ALL_KEYS,
        deep: Mapping[str, float] = NOTHING_DEEP,
    ) -> Patch:
        """Save a patch, to the disk first, and return it as it would be read again.

        deep: what deep patches it is made of -> amount; the new one has all of that in one.
        ValueError for a bad name, a taken one unless overwrite, or what does not fit the bank.
        """
        check_name(name)
        with self._saving:
            known = self.patches.get(name)
            program = known.program if known else None
            patch = Patch(
                name,
                tuple(embedding),
                dict(knobs),
                gain_db,
                pan,
                program,
                known.author if known else "",
                known.tags if known else (),
                datetime.date.today().isoformat(),
                keys,
                deep=blended(deep),
            )
            patch = as_saved(patch, self.embedding_size, self.knobs)
            self._check_new(name)
            if self.own is None:
                save_patch(self.path, patch, overwrite)
                # A new dictionary, so that a reader never sees one change under it.
                self.patches = {**self.patches, name: patch}
            elif known and not overwrite:
                raise ValueError(f"patch {name!r} exists; save under another name")
            else:
                self.own.save(patch, overwrite)
                self._gather()
        return patch

    def duplicate(self, name: str, new: str) -> None:
        """Copy a patch to one of the user's, which no program selects. ValueError for a bad or
        taken name."""
        self._add(replace(self.patch(name), name=new, program=None))

    def import_text(self, name: str, text: str) -> None:
        """Take the content of a patch file as one of the user's. ValueError if it is none for this
        bank, or for a bad or taken name."""
        self._add(parsed_patch(name, text, self.embedding_size, self.knobs))

    def export_text(self, name: str) -> str:
        """The content of a patch's file. ValueError if there is none."""
        return patch_text(self.patch(name))

    def describe(self, name: str, author: str, tags: tuple[str, ...]) -> None:
        """State the author and the tags of a patch of the user's. ValueError if it is none."""
        with self._saving:
            own = self._editable()
            if name not in own.patches:
                raise ValueError(f"patch {name!r} is the bank's; duplicate it to describe it")
            patch = replace(own.patches[name], author=author, tags=tags)
            own.save(as_saved(patch, self.embedding_size, self.knobs), overwrite=True)
            self._gather()

    def favour(self, name: str, on: bool) -> None:
        """Make a patch a favourite, or no longer. ValueError if there is none."""
        with self._saving:
            self._editable().favour(self.patch(name).name, on)

    @property
    def favourites(self) -> Collection[str]:
        """The user's favourite patches."""
        return self.own.favourites if self.own else NO_FAVOURITES

    @property
    def stale(self) -> bool:
        """Whether files of the user's have been put in or taken out since they were read."""
        with self._saving:
            return self.own is not None and self.own.stale

    def _add(self, patch: Patch) -> None:
        """Add a patch to the user's. ValueError for a bad or taken name."""
        with self._saving:
            own = self._editable()
            check_name(patch.name)
            if patch.name in self.patches:
                raise ValueError(f"patch {patch.name!r} exists; take another name")
            self._check_new(patch.name)
            own.save(patch, overwrite=False)
            self._gather()

    def delete(self, name: str) -> None:
        """Delete a patch of the user's. ValueError if it is none."""
        with self._saving:
            self._editable().delete(name)
            self._gather()

    def rename(self, name: str, new: str) -> None:
        """Rename a patch of the user's. ValueError if it is none, or new is bad or taken."""
        with self._saving:
            own = self._editable()
            check_name(new)
            if new in self.patches:
                raise ValueError(f"patch {new!r} exists; take another name")
            self._check_new(new, instead_of=name)
            own.rename(name, new)
            self._gather()

    def undo(self) -> list[str]:
        """Undo the last save, deletion or renaming; the names it was about. ValueError if none."""
        with self._saving:
            names = self._editable().undo()
            self._gather()
        return names

    def reload(self) -> list[str]:
        """Read the user's patches again; why files were skipped, one line each."""
        with self._saving:
            own = self._editable()
            own.read()
            self._gather()
        return own.problems

    def _editable(self) -> OwnPatches:
        if self.own is None:
            raise ValueError("patches can be edited only in a folder of your own (--patches)")
        return self.own

    def _check_new(self, name: str, instead_of: str = "") -> None:
        """Raises ValueError for a name that differs from another in case alone: on some systems
        they would be the same file."""
        for other in self.patches:
            if other not in (name, instead_of) and other.casefold() == name.casefold():
                raise ValueError(f"patch {name!r}: there is {other!r}; take another name")

    def _gather(self) -> None:
        if self.own is not None:
            self.patches = {**self._factory, **self.own.patches}

    @property
    def more(self) -> int:
        """How many numbers the network takes behind an embedding: that many of `KNOBS`."""
        sizes = [len(way) for way in self.knobs.values()]
        return max(sizes, default=self.embedding_size) - self.embedding_size

    def point(self, name: str) -> tuple[float, ...]:
        """The network's input for a patch, all knobs in the middle; ValueError if there is none."""
        patch = self.patch(name)
        deep = {patch.deep: 1.0} if patch.deep else {}
        return patch.embedding + (0.0,) * self.more + self.amounts(deep)

    def amounts(self, deep: Mapping[str, float], others: Collection[str] = ()) -> tuple[float, ...]:
        """What stands in the network's input behind embedding and knobs: `DeepSlots.amounts`, or
        nothing where there are no templates."""
        return self._deep.amounts(deep, others) if self.mel2mel_config.timbre_features else ()

    @property
    def span(self) -> tuple[tuple[float, float], ...]:
        """Of each coordinate, the least and the greatest value among the instruments that the
        network was trained on. ValueError when its weights do not fit."""
        if not self._span:
            path, config = self.path / "mel2mel.safetensors", self.mel2mel_config
            points = read_weights(path).get("instruments.weight")
            if points is None or points.shape != (config.instruments, config.embedding):
                raise ValueError(
                    f"{path}: tensor instruments.weight does not fit bank.yaml's sizes"
                )
            ends = points.float().aminmax(dim=0)
            self._span = tuple(zip(ends.min.tolist(), ends.max.tolist(), strict=True))
        return self._span

    def mel2mel(self) -> Mel2Mel:
        """The network, for playing. Raises ValueError when the weights do not fit."""
        network = filled(lambda: Mel2Mel(self.mel2mel_config), self.path / "mel2mel.safetensors")
        network = with_knobs(network, self.more) if self.more else network
        self._deep.lend(network)
        return network

    def wavenet(self) -> WaveNet:
        """The vocoder's network. Raises ValueError when there is none, or it does not fit."""
        if self.wavenet_config is None:
            others = sorted(path.parent for path in self.path.parent.glob("*/wavenet.safetensors"))
            advice = f", or --bank {others[0]}, which has one" if others else ""
            raise ValueError(
                f"{self.path}: this bank has no wavenet; use --vocoder spectral{advice}"
            )
        config = self.wavenet_config
        return filled(lambda: WaveNet(config), self.path / "wavenet.safetensors")


def load_bank(path: str | Path, own: Path | None = None) -> Bank:
    """Read and check a bank's folder; its networks are read later, when they are needed.

    own: the folder of the user's patches of this bank, which need not exist; with None, patches are
    saved in the bank's. Raises ValueError, in one line that names the file and the field; patches
    that cannot be read are skipped and logged.
    """
    folder = Path(path)
    where = folder / "bank.yaml"
    if not where.is_file():
        raise ValueError(f"{folder}: no bank here (there is no bank.yaml)")
    file = read_bank_file(where)
    mel2mel, knobs = file.mel2mel_config, file.knobs or {}
    patches, problems = {}, []
    for patch in sorted(folder.glob("*.yaml")):
        if patch != where and not patch.name.startswith("."):
            try:
                patches[patch.stem] = load_patch(patch, mel2mel.embedding, knobs)
            except ValueError as error:
                problems.append(str(error))
    if not patches:
        reason = problems[0] if problems else "there is no .yaml beside bank.yaml"
        raise ValueError(f"{folder}: no patch here ({reason})")
    own_patches = OwnPatches(own, mel2mel.embedding, knobs) if own else None
    problems += own_patches.problems if own_patches else []
    for problem in problems:
        _log.warning("%s; this patch is left out", problem)
    bank = Bank(
        folder,
        mel2mel,
        file.wavenet_config,
        file.ring_out_s,
        file.axes or (),
        {name: (x, y) for name, (x, y) in (file.places or {}).items() if name in patches},
        knobs,
        file.fidelity or {},
        file.about or {},
        patches,
        own_patches,
        patches,
    )
    bank._gather()
    return bank
