"""Which output devices there are, and which of them the player means.

PortAudio is loaded only when asked for: servers without sound, and the tests of everything
else, run without it. It looks for devices when it is loaded, and again in `restart_portaudio`.
"""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from types import ModuleType

RATES = (44_100, 48_000, 88_200, 96_000, 32_000, 22_050, 16_000)
"""Rates (Hz) tried when a device refuses the one wanted."""


@dataclass(frozen=True, slots=True)
class OutputDevice:
    """One device as PortAudio lists it. channels: at most; rate: its default, Hz."""

    index: int
    name: str
    host: str
    channels: int
    rate: int
    default: bool


def load_portaudio() -> ModuleType:
    """The sounddevice module. Raises OSError, naming what to install, where it is missing."""
    try:
        import sounddevice
    except ImportError:
        raise OSError(
            "no audio: the Python package sounddevice is missing (pip install sounddevice)"
        ) from None
    except OSError:
        raise OSError(
            "no audio: the PortAudio library is missing "
            "(Debian: apt install libportaudio2; Fedora: dnf install portaudio)"
        ) from None
    return sounddevice


def leave_portaudio(portaudio: ModuleType) -> None:
    """Do not end PortAudio when Python exits: with a stream that hangs, it would hang too."""
    atexit.unregister(portaudio._exit_handler)


def restart_portaudio() -> None:
    """Let PortAudio look for devices again. Ends every stream, and hangs where one does."""
    portaudio = load_portaudio()
    portaudio._terminate()
    portaudio._initialize()


def output_devices(portaudio: ModuleType) -> list[OutputDevice]:
    """Every device with an output, in PortAudio's order."""
    hosts = portaudio.query_hostapis()
    default = portaudio.default.device[1]
    if default < 0:
        default = next((h["default_output_device"] for h in hosts), -1)
    return [
        OutputDevice(
            index=index,
            name=entry["name"],
            host=hosts[entry["hostapi"]]["name"],
            channels=entry["max_output_channels"],
            rate=round(entry["default_samplerate"]),
            default=index == default,
        )
        for index, entry in enumerate(portaudio.query_devices())
        if entry["max_output_channels"] > 0
    ]


def find_device(portaudio: ModuleType, wanted: str | int = "auto") -> OutputDevice:
    """The device meant by "auto", an index, or a name.

    A name may be in any case, a part of the device's, or "name (host API)" in full; the
    whole name wins over a part. Raises ValueError, listing what is allowed, for one that
    fits no device or several.
    """
    devices = output_devices(portaudio)
    if not devices:
        raise ValueError(
            f"audio device {wanted!r}: this system has no audio output (none plays without one)"
        )
    if wanted == "auto":
        return next((d for d in devices if d.default), devices[0])
    name = str(wanted).strip().lower()
    if name.isdecimal():
        fits = [d for d in devices if d.index == int(name)]
    else:
        fits = [d for d in devices if name in (d.name.lower(), f"{d.name} ({d.host})".lower())]
        fits = fits or [d for d in devices if name and name in d.name.lower()]
    if len(fits) == 1:
        return fits[0]
    allowed = "; ".join(f"{d.index} {d.name} ({d.host})" for d in fits or devices)
    problem = "fits several" if fits else "unknown"
    raise ValueError(f"audio device {wanted!r}: {problem}; choose auto, none, or one of: {allowed}")


def choose_rate(portaudio: ModuleType, device: OutputDevice, rate: int | None = None) -> int:
    """The rate to open the device at: `rate`, or its default for None.

    PortAudio reports a wrong rate as an invalid device, so it is tried first. Raises
    ValueError naming the rates that work.
    """
    rate = rate or device.rate
    if _takes(portaudio, device, rate):
        return rate
    works = [r for r in sorted({device.rate, *RATES}) if _takes(portaudio, device, r)]
    allowed = ", ".join(map(str, works)) if works else "none that was tried (is it in use?)"
    raise ValueError(f"audio device {device.name!r}: cannot play at {rate} Hz; it takes {allowed}")


def _takes(portaudio: ModuleType, device: OutputDevice, rate: int) -> bool:
    try:
        portaudio.check_output_settings(
            device=device.index,
            channels=min(2, device.channels),
            dtype="float32",
            samplerate=rate,
        )
    except (portaudio.PortAudioError, ValueError):
        return False
    return True
