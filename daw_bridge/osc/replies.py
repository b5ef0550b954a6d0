"""What may be answered, to whom: nobody can make the server flood another machine.

The sender of a UDP packet can be forged. So answers to other machines are limited: for each bundle,
and for each machine over time. Answers to this machine are not.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

BUNDLE_BYTES = 8_192
"""Of answers to one bundle. A packet with a single message gets its whole answer."""

BURST_BYTES, BYTES_PER_S = 262_144, 16_384
"""Of answers to one machine: at once, after a pause, and in the long run."""

REMEMBERED = 1_024
"""Machines whose shares are remembered."""


class Replies:
    """Counts what each machine is answered. One thread at a time.

    clock: seconds from a monotonic clock. withheld: answers not sent; only grows.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.withheld = 0
        self._clock = clock
        self._shares: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Of each machine: the bytes it may still get, and when that was so."""

    def allow(self, host: str, size: int, already: int, bundle: bool) -> bool:
        """Whether an answer of so many bytes may be sent; `already` were sent for its packet."""
        if is_this_machine(host):
            return True
        now = self._clock()
        left, then = self._shares.pop(host, (float(BURST_BYTES), now))
        left = min(left + (now - then) * BYTES_PER_S, float(BURST_BYTES))
        allowed = size <= left and not (bundle and already + size > BUNDLE_BYTES)
        self._shares[host] = (left - size if allowed else left, now)
        if len(self._shares) > REMEMBERED:
            self._shares.popitem(last=False)
        self.withheld += not allowed
        return allowed


def is_this_machine(host: str) -> bool:
    """Whether a numeric address is a loopback one.

    >>> [is_this_machine(host) for host in ("127.0.0.1", "::1", "192.168.0.7", "0.0.0.0")]
    [True, True, False, False]
    """
    try:
        return ipaddress.ip_address(unmapped(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def unmapped(host: str) -> str:
    """A numeric address, as IPv4 where it is one that a socket for both writes as IPv6.

    >>> unmapped("::ffff:192.0.2.2"), unmapped("192.0.2.2"), unmapped("fe80::1%eth0")
    ('192.0.2.2', '192.0.2.2', 'fe80::1%eth0')
    """
    try:
        mapped = ipaddress.IPv6Address(host).ipv4_mapped
    except ValueError:
        return host
    return str(mapped or host)
