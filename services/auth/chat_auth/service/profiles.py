"""Public profiles: who somebody is, and whether they are online."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from chat_shared.contracts.base import utc_now

from chat_auth.domain.accounts import User
from chat_auth.errors import UserNotFound
from chat_auth.presence import Presence
from chat_auth.store import UserStore


class Profiles:
    """The use cases around the profiles of others."""

    def __init__(self, users: UserStore, presence: Presence) -> None:
        self._users = users
        self._presence = presence

    async def require(self, user_id: str) -> User:
        """Return a user.

        Raises:
            UserNotFound: when there is no such user.
        """
        user = await self._users.find(user_id)
        if user is None:
            raise UserNotFound
        return user

    async def one(self, user_id: str) -> tuple[User, bool]:
        """Return a user and whether they are online.

        Raises:
            UserNotFound: when there is no such user.
        """
        return await self.require(user_id), await self.is_online(user_id)

    async def many(self, user_ids: Sequence[str]) -> list[tuple[User, bool]]:
        """Return those users who exist, in the order asked for, each with whether they are online."""
        found = {user.id: user for user in await self._users.find_many(user_ids)}
        online = await self._presence.online_among(list(found))
        return [(found[user_id], user_id in online) for user_id in user_ids if user_id in found]

    async def is_online(self, user_id: str) -> bool:
        """Tell whether a user has a live connection; False while that is not known."""
        return user_id in await self._presence.online_among([user_id])

    async def online_among(self, user_ids: Sequence[str]) -> set[str]:
        """Return those users who have a live connection; none while that is not known."""
        return await self._presence.online_among(user_ids)

    async def note_last_seen(self, moments: Mapping[str, datetime]) -> None:
        """Move `lastSeen` of these users forward; a moment in the future counts as now."""
        now = utc_now()
        await self._users.move_last_seen({user_id: min(moment, now) for user_id, moment in moments.items()})
