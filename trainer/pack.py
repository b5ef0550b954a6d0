"""What a machine without network is given: one folder of wheels, a SoundFont and MIDI files.

*.whl           what that machine's Python lacks, such as pygame-ce for its FluidSynth
*.sf2 or *.sf3  the SoundFont, one of them
*.zip           MIDI files; or else *.mid in folders of the pack itself
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Unpacked:
    """midi: the corpus, soundfont: a file, site: a folder for sys.path, refused: wheels that are
    for another Python or machine."""

    midi: Path
    soundfont: Path
    site: Path
    refused: tuple[str, ...]


def unpack(pack: Path, target: Path) -> Unpacked:
    """Lay out a pack's wheels and archives in target's site/ and midi/, in place of older ones.

    Raises ValueError that names what is missing, too many or damaged.
    """
    if not pack.is_dir():
        raise ValueError(f"{pack}: no such folder")
    soundfonts = sorted(p for p in pack.rglob("*") if p.suffix.lower() in (".sf2", ".sf3"))
    if len(soundfonts) != 1:
        names = ", ".join(p.name for p in soundfonts) or "none"
        raise ValueError(f"{pack}: must hold one SoundFont (.sf2, .sf3), but holds {names}")
    for old in (target / "site", target / "midi"):
        shutil.rmtree(old, ignore_errors=True)
    refused = []
    for wheel in sorted(pack.rglob("*.whl")):
        if fits(wheel.name):
            _extract(wheel, target / "site")
        else:
            refused.append(wheel.name)
    archives = sorted(pack.rglob("*.zip"))
    for archive in archives:
        _extract(archive, target / "midi" / archive.stem)
    midi = target / "midi" if archives else pack
    manifests = sorted(midi.rglob("manifest.csv"))
    if len(manifests) == 1:
        midi = manifests[0].parent
    return Unpacked(midi, soundfonts[0], target / "site", tuple(refused))


def fits(wheel: str) -> bool:
    """Whether a wheel of this file name is for this Python and machine, by its tags.

    >>> fits("mido-1.3.3-py3-none-any.whl"), fits("mido-1.3.3-py2-none-any.whl")
    (True, False)
    """
    tags = re.fullmatch(r".+-([^-]+)-([^-]+)-([^-]+)\.whl", wheel)
    if not tags:
        return False
    pythons, abi, machines = tags.groups()
    major, minor = sys.version_info[:2]
    stable = range(2, minor + 1) if abi == "abi3" else (minor,)
    good = {"py3", *(f"cp{major}{number}" for number in stable)}
    system = {"darwin": "macosx", "win32": "win"}.get(sys.platform, sys.platform)
    here = system in machines and platform.machine().lower() in machines
    return bool(good & set(pythons.split("."))) and (machines == "any" or here)


def _extract(archive: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(target)
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as error:
        raise ValueError(f"{archive}: cannot be unpacked ({error})") from None
