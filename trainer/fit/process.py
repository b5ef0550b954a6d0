"""`trainer fit` for a program that waits for it, such as the page's server.

    python -m trainer.fit.process < plan

The first line of stdin is a plan: a JSON object with the fields of `FitPlan`, paths as texts. Each
line of stdout is a JSON object: {"share": 0..1} of the work that is done, {"line": text} as
`trainer fit` prints it, and at last {"done": name of the patch} or {"error": reason}. It ends when
stdin does, goes behind other programs, and takes no more of the machine than `LIMITS`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from common.threads import be_scheduled

NICE = 10
LIMITS = {"RLIMIT_CPU": 900, "RLIMIT_FSIZE": 2**28, "RLIMIT_AS": 2**33, "RLIMIT_CORE": 0}
"""Seconds of a processor, bytes of a file and of memory, and no core dump: a small file can unfold
into hours of sound."""
PATHS = ("recording", "midi", "bank", "out", "report")


def main() -> int:
    """Make the patch of the plan on stdin: 0, or 2 if it cannot be made."""
    _stand_back()
    try:
        plan = json.loads(sys.stdin.readline())
        _end_with_stdin()
        # It takes seconds: only now.
        from trainer.fit.fit import fit
        from trainer.fit.plan import FitPlan

        fields = {k: Path(v) if k in PATHS and v is not None else v for k, v in plan.items()}
        for line in fit(FitPlan(**fields), lambda share: _tell(share=share)):
            _tell(line=line)
    except (ValueError, OSError) as error:
        _tell(error=str(error))
        return 2
    except Exception as error:
        _tell(error=f"{type(error).__name__}: {error}")
        return 2
    _tell(done=plan["name"])
    return 0


def _tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def _stand_back() -> None:
    """Let other programs go first; what the server's thread has is inherited."""
    if hasattr(os, "SCHED_OTHER"):
        be_scheduled((os.SCHED_OTHER, 0))
    if hasattr(os, "nice"):
        os.nice(NICE)
    try:
        import resource
    except ImportError:  # Windows has none
        return
    for name, most in LIMITS.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, hard))


def _end_with_stdin() -> None:
    """End when whoever waits for it is gone: then stdin is closed."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
