"""What the use cases ask of a place for content. Each file remembers the one that it was put into."""

from collections.abc import AsyncIterator
from typing import Protocol

from chat_shared.lifecycle import Component

from chat_media.domain.files import MediaFile, StoreName
from chat_media.domain.ranges import Span
from chat_media.errors import StoreAway


class ContentStore(Component, Protocol):
    """A place for content; keys are ids of files."""

    @property
    def name(self) -> StoreName:
        """How records name this store."""

    async def put(self, key: str, content: bytes) -> None:
        """Store content durably; after a failure it may be stored, wholly or in part."""

    def read(self, key: str, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span`; raises `StoreAway` when that is not possible."""

    async def delete(self, key: str) -> None:
        """Remove content; nothing happens when there is none."""


class ContentStores:
    """The stores that are configured: new content goes into one, and old content stays where it is."""

    def __init__(self, *stores: ContentStore) -> None:
        """`stores`: the last one takes new content."""
        self.current = stores[-1]
        self.all = stores

    @property
    def names(self) -> list[StoreName]:
        """The stores whose content can be reached."""
        return [store.name for store in self.all]

    def holding(self, file: MediaFile) -> ContentStore:
        """Return the store that holds a file.

        Raises:
            StoreAway: it is not configured any more.
        """
        for store in self.all:
            if store.name == file.store:
                return store
        raise StoreAway(f"The store of this file, {file.store}, is not configured")
