"""`python -m benchmarks`; what it does stands in `command`."""

from __future__ import annotations

import signal
import sys


def _end(number: int, _: object) -> None:
    # Once is enough: what follows ends the processes and removes the folders.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    print("Broken off; what was measured to its end is written down.", file=sys.stderr)
    sys.exit(128 + number)


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    # Only now, for it takes a moment, in which Ctrl-C is to be heard as well.
    from benchmarks.command import main

    main()


if __name__ == "__main__":
    _main()
