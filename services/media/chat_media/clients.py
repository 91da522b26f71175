"""What media asks of rooms."""

from collections.abc import Sequence

from chat_shared.contracts.internal import MembershipCheck, MembershipFacts, MembershipKey
from chat_shared.errors import RemoteError, Unavailable
from chat_shared.http import ServiceClient
from pydantic import ValidationError

from chat_media.domain.files import RoomStanding
from chat_media.errors import RoomsAway

ROOMS_SECONDS = 3.0


class Rooms:
    """Who is a member where."""

    def __init__(self, rooms: ServiceClient) -> None:
        self._rooms = rooms

    async def standings(self, user_id: str, room_ids: Sequence[str]) -> list[RoomStanding]:
        """Return how a user stands to each room, at most 1000; one that is gone lets nobody in.

        Raises:
            RoomsAway: rooms cannot be asked.
        """
        question = MembershipCheck(
            memberships=[MembershipKey(room_id=room_id, user_id=user_id) for room_id in room_ids]
        )
        try:
            facts = await self._rooms.post(
                "/internal/v1/memberships/check",
                question,
                MembershipFacts,
                timeout=ROOMS_SECONDS,
                only_reads=True,
            )
        except (Unavailable, RemoteError, ValidationError) as error:
            raise RoomsAway from error
        return [
            RoomStanding(is_member=fact.role is not None, is_public=fact.room_type == "public")
            for fact in facts.memberships
        ]
