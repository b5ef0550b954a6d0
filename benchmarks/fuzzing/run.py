"""One target under a fuzzer that is led by coverage (atheris), in a process of its own.

    python -m benchmarks.fuzzing.run TARGET FOLDER INPUTS SEED

FOLDER/corpus keeps the inputs that reached new code; FOLDER/faults one that broke it, if any. The
process ends with 0 after so many inputs, else at the first fault.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

# Imported before, so that nothing is put into what Numba compiles.
import synth.mel2mel.step
import synth.vocoders.wavenet.vocoder  # noqa: F401


def main() -> None:
    """Runs until the fuzzer ends the process."""
    # Only now: not every machine has it, and what it imports is changed for good.
    import atheris

    with atheris.instrument_imports(include=["daw_bridge", "page", "common", "synth.bank"]):
        from benchmarks.fuzzing.targets import TARGETS
    name, folder, inputs, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    corpus, faults = folder / "corpus", folder / "faults"
    for each in (corpus, faults):
        each.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(content)
    with tempfile.TemporaryDirectory() as place:
        target = TARGETS[name].make(Path(place))
        flags = [
            f"-runs={inputs}",
            f"-seed={seed}",
            f"-max_len={TARGETS[name].longest}",
            "-timeout=10",
        ]
        flags += [f"-artifact_prefix={faults}/", "-print_final_stats=1", str(corpus)]
        atheris.Setup([sys.argv[0], *flags], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
