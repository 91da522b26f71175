"""When signing keys begin, sign and go.

A new key is published some minutes before it signs, so that every verifier knows it by then; an old one
stays published until the last token that it signed is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

#: From the birth of a key to its first signature: longer than verifiers keep the published keys.
PUBLISH_LEAD = timedelta(minutes=10)
#: How much longer than its last token a key stays published: clock differences and slow processes.
RETIRE_MARGIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A signing key without its private part."""

    id: str
    generation: int
    """1, 2, 3, …: unique, so that of two processes that make a successor only one does."""
    public_key: bytes
    active_from: datetime


def current_key(keys: Sequence[SigningKey], now: datetime) -> SigningKey | None:
    """Return the key that signs `now`: the latest one that has begun."""
    return max((key for key in keys if key.active_from <= now), key=_generation, default=None)


def needs_successor(keys: Sequence[SigningKey], now: datetime, max_age: timedelta) -> bool:
    """Tell whether the youngest key is old enough that the next one should be published."""
    youngest = max(keys, key=_generation, default=None)
    return youngest is None or youngest.active_from + max_age <= now + PUBLISH_LEAD


def retired_keys(keys: Sequence[SigningKey], now: datetime, token_life: timedelta) -> list[SigningKey]:
    """Return the keys whose every token is over."""
    ordered = sorted(keys, key=_generation)
    return [
        key
        for key, successor in pairwise(ordered)
        if successor.active_from + token_life + RETIRE_MARGIN <= now
    ]


def _generation(key: SigningKey) -> int:
    return key.generation
