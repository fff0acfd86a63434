"""The rules of the registry: names, leases, health and who may take a name.

Nothing here reads a clock, a database or a socket.

::

                register, renew                  lease lapses              grace over
    (nothing) ------------------> up (leased) --------------> unknown ------------------+
                                   ^                             ^                      v
                                   |  register, renew            | stale     +----- probe ------+
                                   +-----------------------------+------ up (reached)         down
                                                                             +-- every interval --+

A lease is the agent's own word, cheap and fresh. A probe is ours: it keeps an agent that never renews
(somebody else's, registered by hand) in the catalog, and keeps a lost renewal from calling a living
agent down.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from parley_registry.errors import InvalidRequestError
from parley_registry.records import Health

MIN_TTL_S: Final = 5
MAX_TTL_S: Final = 300
DEFAULT_TTL_S: Final = 30
MAX_NAME: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient the registry is."""

    grace: timedelta = timedelta(seconds=15)
    """So long after its lease an agent is `unknown` before it is probed."""
    probe_every: timedelta = timedelta(seconds=10)
    """Between two probes of one agent without a lease."""

    @property
    def probe_fresh(self) -> timedelta:
        """So long a successful probe is believed: two may be late or lost."""
        return 3 * self.probe_every


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What our own look at an agent found."""

    at: datetime
    problem: str
    """Empty if the agent answered with a valid card of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What health follows from."""

    url: str
    lease_until: datetime
    probe: Probe | None
    """The newest."""


def health(standing: Standing, *, now: datetime, timing: Timing) -> Health:
    """Say how an agent is.

    A probe counts from the end of the grace on: before that the lease has the word.
    """
    if now < standing.lease_until:
        return Health.UP
    probe = _telling(standing, timing)
    if probe is None:
        return Health.UNKNOWN
    if probe.problem:
        return Health.DOWN
    return Health.UP if now < probe.at + timing.probe_fresh else Health.UNKNOWN


def probe_due(standing: Standing, *, now: datetime, timing: Timing) -> bool:
    """Whether the registry should look itself now."""
    if now < standing.lease_until + timing.grace:
        return False
    probe = _telling(standing, timing)
    return probe is None or now >= probe.at + timing.probe_every


def may_take_name(holder: Standing | None, *, url: str, now: datetime, timing: Timing) -> bool:
    """Whether the agent at `url` may have a name: it is free, its own, or its holder is down."""
    if holder is None or holder.url == url:
        return True
    return health(holder, now=now, timing=timing) is Health.DOWN


def _telling(standing: Standing, timing: Timing) -> Probe | None:
    probe = standing.probe
    if probe is None or probe.at < standing.lease_until + timing.grace:
        return None
    return probe


def slug(card_name: str) -> str:
    """Turn a card's name into the name it is registered under: `Café Nº 5` is `cafe-no-5`.

    Raises:
        InvalidRequestError: If no letter or digit of ASCII is left.
    """
    ascii_only = unicodedata.normalize("NFKD", card_name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")[:MAX_NAME].rstrip("-")
    if not name:
        raise InvalidRequestError(
            f"the card's name {card_name[:80]!r} needs at least one letter or digit of ASCII"
        )
    return name


def cursor_after(name: str) -> str:
    """Return the opaque cursor of the page that follows `name`."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def after_cursor(cursor: str) -> str:
    """Return the name that a page starts after; empty for the first page.

    Raises:
        InvalidRequestError: If it is no cursor of ours.
    """
    try:
        name = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequestError("the cursor is none that the registry gave out") from exc
    if cursor and not re.fullmatch(r"[a-z0-9-]{1,63}", name):
        raise InvalidRequestError("the cursor is none that the registry gave out")
    return name
