"""The limit on requests: so many in any window of time, for each client, as Django REST Framework counts them.

A refused request does not count. Which requests count at all is decided by the server.
"""

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)


class Throttle:
    """A sliding window on the given clock.

    Args:
        limit: requests in any window; None for no limit.
        clock: says what time it is.
        window: how long the window is.
    """

    def __init__(self, limit: int | None, clock: Callable[[], datetime], window: timedelta = HOUR) -> None:
        self.limit = limit
        self.window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._taken: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def take(self, client: str) -> int:
        """Counts a request; says 0, or where it is one too many, in how many seconds the next may come."""
        if self.limit is None:
            return 0
        with self._lock:
            wait = self._wait(client)
            if not wait:
                self._taken[client].append(self._clock())
            return wait

    def use(self, client: str) -> tuple[int, int]:
        """How many requests a client has made within the window, and in how many seconds the next may come."""
        with self._lock:
            wait = self._wait(client)
            return len(self._taken[client]), wait

    def _wait(self, client: str) -> int:
        taken, now = self._taken[client], self._clock()
        while taken and taken[0] <= now - self.window:
            taken.popleft()
        if self.limit is None or len(taken) < self.limit:
            return 0
        # A limit of 0 has nothing to wait for but the window itself.
        oldest = taken[0] if taken else now
        return max(1, math.ceil((oldest + self.window - now).total_seconds()))
