"""A take on disk: a sink that records what it passes on to another.

The engine's own blocks are kept, at its own rate and before any device: a live take can be
compared with a bounce sample by sample. The render thread only puts a copy into a queue
without bound, since a musician would rather spend memory (128 kB/s) than lose a note to a
slow disk; a thread of its own writes.

The take grows in `NAME.part.wav` beside its target, readable at any moment, and is renamed
over the target when it is closed: an older take stays whole until the new one is, and a
crash leaves all but the last second under the other name. A part found from such a crash is
never written over.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from common.threads import LISTENER, step_back
from synth.output.sinks import Samples, Sink, SinkAround
from synth.output.wav import WavWriter

_log = logging.getLogger(__name__)


class WavRecorder(SinkAround):
    """Passes blocks on to `sink`, which paces it, and records them to `path`.

    A disk that fails ends the recording, not the sound: `disk_fault` says why, it
    is logged once, and what was written stays in the part file.
    """

    def __init__(self, sink: Sink, path: str | Path, channels: int = 2) -> None:
        super().__init__(sink)
        self.path = Path(path)
        self.channels = channels
        self.part_path: Path | None = None
        self.disk_fault: str | None = None
        self._blocks: queue.SimpleQueue[Samples | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    @property
    def fault(self) -> str | None:
        """The sink's, or else the disk's."""
        return self._sink.fault or self.disk_fault

    @property
    def failed(self) -> bool:
        return self.disk_fault is not None

    def describe(self) -> str:
        return f"{self._sink.describe()}; recording to {self.path}"

    def start(self) -> None:
        """Create the part file, then start the sink.

        Raises ValueError, in one line, for a path that cannot be written.
        """
        file, part_path = self._create()
        try:
            self._sink.start()
        except BaseException:
            file.close()
            part_path.unlink()
            raise
        self.part_path = part_path
        self._writer = threading.Thread(
            target=self._record, args=(file, part_path), name="recorder"
        )
        self._writer.start()

    def write(self, block: Samples) -> bool:
        """As the sink's; the block is recorded whether or not the sink takes it."""
        if self._writer is not None:
            self._blocks.put(block[:, : self.channels].copy())
        return self._sink.write(block)

    def close(self) -> None:
        """Close the sink, then wait until everything is on disk under its own name."""
        self._sink.close()
        if self._writer is not None:
            self._blocks.put(None)
            self._writer.join()
            self._writer = None

    def _create(self) -> tuple[BinaryIO, Path]:
        """A new part file, open, and its path."""
        if os.path.isdir(self.path):
            raise ValueError(f"recording {self.path}: is a folder; name a file, e.g. take.wav")
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise ValueError(f"recording {self.path}: is not a file that can be replaced")
        n = 1
        while True:
            tail = ".part.wav" if n == 1 else f".part-{n}.wav"
            part_path = self.path.with_name(self.path.stem + tail)
            try:
                return part_path.open("xb"), part_path
            except FileExistsError:
                n += 1
            except OSError as error:
                raise ValueError(
                    f"recording {self.path}: cannot be written: {error.strerror}"
                ) from None

    def _record(self, file: BinaryIO, part_path: Path) -> None:
        """The writer thread: from queue to disk until None comes."""
        # Whoever starts the sink may go before the renderer; a disk need not.
        step_back(LISTENER)
        blocks = self._queued()
        try:
            with file:
                wav = WavWriter(file, self.engine_rate, self.channels)
                for block in blocks:
                    wav.write(block)
                wav.renew_header()
                os.fsync(file.fileno())
            part_path.replace(self.path)
        except OSError as error:
            self.disk_fault = f"recording {self.path}: stopped: {error.strerror}; see {part_path}"
            _log.error(self.disk_fault)
            # Blocks that nobody will write must not pile up.
            for _ in blocks:
                pass

    def _queued(self) -> Iterator[Samples]:
        """Blocks as they come, until None does; then nothing, however often it is asked."""
        while (block := self._blocks.get()) is not None:
            yield block
