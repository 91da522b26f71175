"""Which instance of a service to ask first, and which to leave alone for a while. No I/O."""

import random
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

MAX_REMEMBERED = 10_000
"""Keys whose order is remembered: a gateway asks for it with every message."""


class Instances:
    """The instances of one service, by their base URLs."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._avoided: set[str] = set()
        self._by_hash = lru_cache(maxsize=MAX_REMEMBERED)(self._ranked)

    def __contains__(self, url: str) -> bool:
        return url in self._urls

    def replace(self, urls: Sequence[str]) -> None:
        """Take other instances; keys whose instance is among both lists stay with it."""
        self._urls = list(urls)
        self._avoided &= set(urls)
        self._by_hash.cache_clear()

    def home(self, key: str) -> str:
        """Return the instance that a key belongs to, whatever state that one is in; "" when there is none."""
        return next(iter(self._by_hash(key)), "")

    def in_order(self, key: str | None) -> list[str]:
        """Return the instances in the order to try: by rendezvous hash of `key`, or at random.

        The same key goes to the same instance everywhere while the list stays the same, so that one
        process does the work of one room (Thaler and Ravishankar, 1998). Avoided ones come last, and in
        the same order: when all are avoided, nothing has changed.
        """
        order = random.sample(self._urls, len(self._urls)) if key is None else self._by_hash(key)
        return sorted(order, key=lambda url: url in self._avoided)

    def avoid(self, url: str) -> bool:
        """Prefer the others to an instance until `trust`; tell whether that is new, and any use."""
        is_known = url in self._urls  # it may have left while it was asked
        if not is_known or url in self._avoided or len(self._urls) == 1:
            return False
        self._avoided.add(url)
        return True

    def trust(self, url: str) -> None:
        """Ask an instance again like any other."""
        self._avoided.discard(url)

    def _ranked(self, key: str) -> list[str]:
        return sorted(self._urls, key=lambda url: blake2b(f"{url}|{key}".encode(), digest_size=8).digest())
