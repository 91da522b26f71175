"""Broker in: which event leads to which use case."""

from chat_shared.bus import Bus
from chat_shared.contracts.events import Event, RoomDeleted, UserDeleted

from chat_media.service.removal import Removal


def consume_events(bus: Bus, removal: Removal) -> None:
    """Bind this service's queue to its use cases; every one of them may be repeated."""

    async def clean_up(event: Event) -> None:
        if isinstance(event, RoomDeleted):
            await removal.delete_of_room(event.room_id)
        elif isinstance(event, UserDeleted):
            await removal.delete_of_user(event.user_id)

    bus.consume("media.cleanup", clean_up)
