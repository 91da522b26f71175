"""Who the senders of messages are."""

from chat_local.client.errors import CommandFailed
from chat_local.client.session import Session
from chat_local.terminal import printable

# The last digits of an id are those in which the ids of one installation differ.
_SHOWN_OF_ID = 6


class Names:
    """Usernames by id, asked for once each."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, str] = {}

    async def of(self, user_id: str) -> str:
        """Return the username; the end of the id for one who is gone, or while nobody can be asked."""
        if user_id not in self._known:
            try:
                answer = await self._session.call("GET", "/api/v1/users", query={"ids": user_id})
            except CommandFailed:
                return user_id[-_SHOWN_OF_ID:]
            found = answer.data
            self._known[user_id] = printable(found[0]["username"]) if found else user_id[-_SHOWN_OF_ID:]
        return self._known[user_id]
