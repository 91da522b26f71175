"""The settings of rooms."""

from chat_shared.rate_limits import RateText
from chat_shared.settings import ServiceSettings, setting
from pydantic import Field

from chat_rooms.domain import CREATE_ROOM, Bounds

CREATE_RATES = {"production": "60/hour", "development": "10000/hour"}


class Settings(ServiceSettings):
    """What rooms needs to run."""

    usual_port = 8102

    service: str = Field("rooms", exclude=True)
    max_rooms_per_user: int = setting(
        1000, "CHAT_MAX_ROOMS_PER_USER", "How many rooms one user can be a member of", ge=1, le=5000
    )
    max_members_per_room: int = setting(
        100_000, "CHAT_MAX_MEMBERS_PER_ROOM", "How many members one room can have", ge=1, le=1_000_000
    )
    create_room_rate: RateText | None = setting(
        None,
        "CHAT_CREATE_ROOM_RATE",
        "Rooms that one user may create; default `60/hour`, in development `10000/hour`",
    )

    @property
    def rates(self) -> dict[str, str]:
        """How often one user may do what."""
        return {CREATE_ROOM: self.create_room_rate or CREATE_RATES[self.environment]}

    @property
    def bounds(self) -> Bounds:
        """How large things may grow."""
        return Bounds(self.max_rooms_per_user, self.max_members_per_room)
