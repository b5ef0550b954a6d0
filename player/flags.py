"""What can be asked for on the command line: `run_server.py` and `run_server.py render`."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval
from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from common.caches import can_write
from common.checks import whole
from common.folders import user_desks, user_file, user_patches
from common.logs import Form, Level
from common.names import SamplerName, VocoderName
from common.window import PARTS
from daw_bridge.midi.port import AUTO
from page.address import HttpAddress

PROGRAM = Path(sys.argv[0]).name or "melstream"
"""What the user has called it: run_server.py, or melstream where it is installed."""
DEFAULT_BANK = Path(__file__).resolve().parents[1] / "patches" / "gm10-48k"
MIDI_MAP = "midi-map.yaml"
"""The file of learnt controllers, in the user's folder."""
MOST_LOOKAHEAD = 125
MOST_SEED = 2**64 - 1
LEAST_SILENCE_S, MOST_SILENCE_S = 1.0, 86_400.0
"""Of an OSC sender."""
LEAST_BUFFER_MS, MOST_BUFFER_MS = 1.0, 500.0
BUFFER_MS, SOON_BUFFER_MS = 10.0, 4.0
"""Sound kept ready: usually, and for low latency. A block of 8 ms takes about 1 ms to render."""
GAIN_DB = (-60.0, 24.0)
"""Of the master gain."""

Frames = Annotated[int, Interval(ge=0, le=MOST_LOOKAHEAD)]


@dataclass(frozen=True, kw_only=True)
class CommonFlags:
    """Which bank plays, and how."""

    bank: Annotated[Path, arg(metavar="FOLDER")] = DEFAULT_BANK
    """Folder of the bank to play, or the name of one that comes along: gm10-48k, gm10 or gm100."""
    vocoder: Literal["auto", VocoderName] = "auto"
    """What turns spectra into sound. auto takes the better one that plays in real time here."""
    sampler: Literal["auto", SamplerName] = "auto"
    """What computes the WaveNet. auto takes triton if there is an NVIDIA GPU, else cpu."""
    seed: Annotated[int, Interval(ge=0, le=MOST_SEED), arg(metavar="N")] = 0
    """Random seed. The same seed and notes give the same samples."""
    gain: Annotated[float, Interval(ge=GAIN_DB[0], le=GAIN_DB[1]), arg(metavar="DB")] = 0.0
    """Gain of the whole mix, before the limiter. Lower it if the limiter has much to do."""
    patches: Annotated[str, arg(metavar="FOLDER")] = "auto"
    """Folder of your own patches of this bank. none: saved in the bank's own folder."""
    midi_map: Annotated[str, arg(metavar="FILE")] = "auto"
    """File of learnt controllers, or none. auto is midi-map.yaml in your settings folder."""

    def __post_init__(self) -> None:
        ours = DEFAULT_BANK.parent / self.bank
        if not self.bank.exists() and ours.parent == DEFAULT_BANK.parent and ours.is_dir():
            object.__setattr__(self, "bank", ours)

    def patches_path(self) -> Path | None:
        """The folder of the user's patches, likewise."""
        return _path("--patches", self.patches, "folder", lambda: user_patches(self._bank_name))

    @property
    def _bank_name(self) -> str:
        return self.bank.resolve().name

    def midi_map_path(self) -> Path | None:
        """The file of learnt controllers, None for none and where there is no home folder for it.
        ValueError for a path that cannot be one."""
        return _path("--midi-map", self.midi_map, "file", lambda: user_file(MIDI_MAP))


@dataclass(frozen=True, kw_only=True)
class LiveFlags(CommonFlags):
    """Play neural instruments live, by MIDI and OSC. Ctrl-C stops. To render a MIDI file to a WAV:
    run_server.py render --help"""

    patch: Annotated[str | None, arg(metavar="NAME")] = None
    """Patch that every part starts with; by default the bank's first."""
    desk: Annotated[str, arg(metavar="FOLDER")] = "auto"
    """Folder of snapshots of the desk. The server starts with the desk as it stood at the last end,
    unless there is a --patch. none: keeps no snapshots, and always starts anew."""
    lookahead: Annotated[Frames, arg(metavar="FRAMES")] = 0
    """Frames of 8 ms that the network may look ahead; the sound is that much later."""
    midi: Annotated[tuple[str, ...], UseAppendAction, arg(metavar="PORT")] = ()
    """MIDI input: a port's name or a part of it, none, or auto (the default) for all keyboards and
    controllers. May be given several times. Ports that are not there are awaited."""
    mpe: Literal["none", "lower", "upper"] = "none"
    """MPE zone: lower is channel 1 with 2 to 16, upper is 16 with 1 to 15. Many controllers open
    their zone themselves."""
    osc: Annotated[str, arg(metavar="HOST:PORT")] = "127.0.0.1:9000"
    """Address to listen on for OSC, or none."""
    timetags: Literal["heard", "taken"] = "heard"
    """What timetags of OSC bundles mean: when a note is heard, if the bundle comes early enough, or
    when it is taken, and heard later by the latency, as notes without one."""
    osc_peers: Annotated[str, arg(metavar="HOST,HOST")] = "none"
    """Other machines that may save, delete and learn by OSC, by their numeric addresses."""
    osc_silence: Annotated[str, arg(metavar="SECONDS")] = "auto"
    """Release the keys of an OSC sender that has said nothing for so many seconds. auto: only when
    its program on this machine has ended. never: keys are held until something releases them."""
    http: Annotated[str, arg(metavar="HOST:PORT")] = "auto"
    """Address of the page for browsers, or none. auto is 127.0.0.1:8000, or the next free port."""
    open: Annotated[bool, FlagCreatePairsOff] = False
    """Open the page in your browser."""
    demo: Annotated[bool, FlagCreatePairsOff] = False
    """Play a phrase on ten patches and a morph, to begin with. A panic ends it."""
    audio: Annotated[str, arg(metavar="DEVICE")] = "auto"
    """Audio output: a device's name, none, jack (awaited if it does not run yet), plugin (the LV2
    plug-in in a DAW, awaited), or auto: JACK if it runs, else the system's default."""
    outputs: Literal["mix", "parts"] = "mix"
    """parts: a stereo pair for each part besides, on JACK; on a device with 4 channels or more the
    pairs instead of the mix."""
    buffer: Annotated[
        float | None, Interval(ge=LEAST_BUFFER_MS, le=MOST_BUFFER_MS), arg(metavar="MS")
    ] = None
    """Milliseconds of sound kept ready: 10, or 4 with --low-latency. Raise it if you hear dropouts;
    lower it on a fast machine."""
    low_latency: Annotated[bool, FlagCreatePairsOff] = False
    """Answer about 20 ms sooner: the spectral vocoder runs one frame behind instead of three, which
    sounds rougher, and less sound is kept ready. For JACK at 64 samples."""
    record: Annotated[Path | None, arg(metavar="WAV")] = None
    """Also record what is played to this file."""
    log_level: Annotated[Level, arg(metavar="LEVEL")] = "warning"
    """What is logged on stderr: debug, info, warning or error, and what is graver."""
    log: Annotated[Form, arg(metavar="FORM")] = "text"
    """Form of the log: text, or json for an object in each line."""
    check: Annotated[bool, FlagCreatePairsOff] = False
    """Try bank, files, ports, device, priority and speed, say what to change before a show, and
    stop."""
    list_devices: Annotated[bool, FlagCreatePairsOff] = False
    """List the audio outputs and MIDI inputs, as flags to paste, and stop."""
    version: Annotated[bool, FlagCreatePairsOff] = False
    """Print the version and stop."""

    @property
    def buffer_ms(self) -> float:
        """Milliseconds of sound kept ready."""
        if self.buffer is not None:
            return self.buffer
        return SOON_BUFFER_MS if self.low_latency else BUFFER_MS

    def desk_path(self) -> Path | None:
        """The folder of snapshots, None for none and where there is no home folder for it.
        ValueError for a path that cannot be one."""
        return _path("--desk", self.desk, "folder", lambda: user_desks(self._bank_name))

    def without(self) -> list[str]:
        """What cannot be kept for want of a place to write, each with the reason."""
        problems = []
        for what, asked, path in (
            ("patches", self.patches, self.patches_path() or self.bank),
            ("the desk", self.desk, self.desk_path()),
            ("learnt controllers", self.midi_map, self.midi_map_path()),
        ):
            if path is None and asked == "auto":
                problems.append(f"{what} (there is no home folder)")
            elif path is not None and not can_write(path):
                problems.append(f"{what} ({path} cannot be written)")
        return problems

    def midi_ports(self) -> tuple[str, ...]:
        """Names of MIDI ports, or ("auto",), or ("none",). A none forgets those before it."""
        if "none" in self.midi:
            last = len(self.midi) - self.midi[::-1].index("none")
            return self.midi[last:] or ("none",)
        return self.midi or (AUTO,)

    def osc_address(self) -> tuple[str, int] | None:
        """Host and port, or None for none. ValueError if it is no address."""
        return _address("--osc: expected HOST:PORT or none", self.osc)

    def osc_peers_allowed(self) -> tuple[str, ...]:
        """The machines in --osc-peers. ValueError for what is no numeric address."""
        if self.osc_peers == "none":
            return ()
        try:
            hosts = self.osc_peers.split(",")
            return tuple(str(ipaddress.ip_address(host.strip())) for host in hosts)
        except ValueError:
            expected = "numeric addresses with commas between them, or none"
            raise ValueError(f"--osc-peers: expected {expected}, got {self.osc_peers!r}") from None

    def osc_silence_s(self) -> float | None:
        """The seconds in --osc-silence, None where it names none. ValueError for anything else."""
        if self.osc_silence in ("auto", "never"):
            return None
        try:
            seconds = float(self.osc_silence)
        except ValueError:
            seconds = 0.0
        if not LEAST_SILENCE_S <= seconds <= MOST_SILENCE_S:
            expected = f"{LEAST_SILENCE_S:g} to {MOST_SILENCE_S:g} seconds, auto or never"
            raise ValueError(f"--osc-silence: expected {expected}, got {self.osc_silence!r}")
        return seconds

    def http_address(self) -> HttpAddress | None:
        """Where the page is to be served, or None. ValueError if it is no address."""
        if self.http == "auto":
            return HttpAddress()
        address = _address("--http: expected HOST:PORT, auto or none", self.http)
        if address is None and self.open:
            raise ValueError("--open: there is no page to open with --http none")
        return HttpAddress(*address, fixed=True) if address else None


@dataclass(frozen=True, kw_only=True)
class RenderFlags(CommonFlags):
    """Render a MIDI file to a WAV with the live engine."""

    midi: Annotated[Positional[Path], arg(metavar="SONG.mid")]
    """MIDI file to play."""
    out: Annotated[Positional[Path], arg(metavar="OUT.wav")]
    """WAV file to write."""
    patch: Annotated[str | None, arg(metavar="NAME")] = None
    """Patch of every channel but drums; by default the file's own programs decide."""
    part: Annotated[tuple[str, ...], UseAppendAction, arg(metavar="CHANNEL=PATCH")] = ()
    """Patch of one channel, whatever programs the file asks for."""
    lookahead: Annotated[Frames | Literal["full"], arg(metavar="FRAMES|full")] = 0
    """Frames of 8 ms that the network may look ahead, or full for the whole piece."""
    normalize: Annotated[bool, FlagCreatePairsOff] = False
    """Instead of the limiter: one gain for the whole file, so that it peaks at -1 dB."""

    def patches_of_parts(self) -> dict[int, str]:
        """Part -> patch, as --part says. ValueError names what is no channel and patch."""
        return dict(map(_part, self.part))


def _path(flag: str, asked: str, kind: str, default: Callable[[], Path]) -> Path | None:
    """A file or folder of the user's, None for none. ValueError for a path that cannot be one."""
    if asked == "none":
        return None
    if asked == "auto":
        try:
            return default()
        except ValueError:  # there is no home folder: what is played is not kept
            return None
    try:
        return Path(asked).expanduser()
    except (RuntimeError, ValueError) as error:
        reason = f"{error}; name a {kind}, or none".replace("..", ".")
        raise ValueError(f"{flag} {asked}: {reason}") from None


def _address(expected: str, text: str) -> tuple[str, int] | None:
    """Host and port, or None for none. ValueError, beginning with expected, if it is neither."""
    if text == "none":
        return None
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{expected}, got {text!r}")
    return host.strip("[]"), int(port)


def _part(text: str) -> tuple[int, str]:
    channel, separator, name = text.partition("=")
    if not separator or not channel.isdecimal():
        raise ValueError(f"--part: expected CHANNEL=PATCH, got {text!r}")
    return whole("--part: channel", int(channel), PARTS[0], PARTS[-1]), name
