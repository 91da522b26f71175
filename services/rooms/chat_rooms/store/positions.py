"""How far the log of each room is, and how far each member has read: projections that only move forward."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId
from pymongo import ReturnDocument, UpdateOne

from chat_rooms.domain import Membership
from chat_rooms.store.collections import Collections, membership_from, membership_key


@dataclass(frozen=True, slots=True)
class Activity:
    """The newest that is known of one room's log."""

    last_seq: int
    last_at: datetime


class Positions:
    """Every write is a `$max`: repeated or overtaken by a later one, it changes nothing."""

    def __init__(self, collections: Collections) -> None:
        self._rooms = collections.rooms
        self._memberships = collections.memberships

    async def advance(
        self, rooms: Mapping[str, Activity], own_messages: Mapping[tuple[str, str], int]
    ) -> None:
        """Move rooms forward, and readers to their own last message.

        Args:
            rooms: by room id.
            own_messages: (room id, sender id) -> the highest `seq` that this member wrote.
        """
        await self._rooms.bulk_write(
            [
                UpdateOne(
                    {"_id": ObjectId(room_id)},
                    {
                        "$max": {
                            "lastSeq": activity.last_seq,
                            "lastMessageAt": activity.last_at,
                            "activeAt": activity.last_at,
                        }
                    },
                )
                for room_id, activity in rooms.items()
            ],
            ordered=False,
        )
        if own_messages:
            await self._memberships.bulk_write(
                [
                    UpdateOne(membership_key(room_id, user_id), {"$max": {"lastReadSeq": seq}})
                    for (room_id, user_id), seq in own_messages.items()
                ],
                ordered=False,
            )

    async def mark_read(self, room_id: str, user_id: str, seq: int) -> Membership | None:
        """Move one reader forward; return the membership, or None when there is none."""
        document = await self._memberships.find_one_and_update(
            membership_key(room_id, user_id),
            {"$max": {"lastReadSeq": seq}},
            return_document=ReturnDocument.AFTER,
        )
        return None if document is None else membership_from(document)
