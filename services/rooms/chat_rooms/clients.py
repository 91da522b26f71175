"""What this service asks of its neighbours."""

from chat_shared.contracts.internal import Heads, HeadsQuery
from chat_shared.errors import RemoteError, Unavailable
from chat_shared.http import ServiceClient
from pydantic import ValidationError

NEIGHBOUR_SECONDS = 3.0


class Accounts:
    """The accounts that auth keeps."""

    def __init__(self, auth: ServiceClient) -> None:
        self._auth = auth

    async def exists(self, user_id: str) -> bool:
        """Tell whether there is such a user.

        Raises:
            Unavailable: auth is away or does not say.
        """
        try:
            await self._auth.request("GET", f"/internal/v1/users/{user_id}", timeout=NEIGHBOUR_SECONDS)
        except RemoteError as error:
            if error.status == 404:
                return False
            raise Unavailable("Whether this user exists cannot be told for the moment; try again") from error
        return True


class RoomLogs:
    """The logs that messaging keeps."""

    def __init__(self, messaging: ServiceClient) -> None:
        self._messaging = messaging

    async def head(self, room_id: str) -> int:
        """Return the highest `seq` of a room, 0 for one without messages.

        Raises:
            Unavailable: messaging is away or does not say.
        """
        question = HeadsQuery(room_ids=[room_id])
        try:
            answer = await self._messaging.post(
                "/internal/v1/heads",
                question,
                Heads,
                key=room_id,
                timeout=NEIGHBOUR_SECONDS,
                only_reads=True,
            )
        except (RemoteError, ValidationError) as error:
            raise Unavailable("How far the room is cannot be told for the moment; try again") from error
        return answer.heads.get(room_id, 0)
