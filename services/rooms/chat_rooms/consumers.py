"""Broker in: which event leads to which use case."""

from chat_shared.bus import Bus
from chat_shared.contracts.events import Event, MessagesAppended, UserDeleted
from chat_shared.tracing import begin, end

from chat_rooms.service import Parts, leaving
from chat_rooms.service.positions import ActivityWriter


def consume_events(bus: Bus, parts: Parts, activity: ActivityWriter) -> None:
    """Bind this service's queues to their use cases; every one of them may be repeated."""

    async def on_activity(event: Event) -> None:
        if isinstance(event, MessagesAppended):
            spans = [
                begin("record activity", entry.trace, room=room.room_id)
                for room in event.rooms
                for entry in room.entries
                if entry.trace
            ]
            try:
                await activity.record(event)
            finally:
                for span in spans:
                    end(span)

    async def on_account(event: Event) -> None:
        if isinstance(event, UserDeleted):
            await leaving.close_account(parts, event.user_id)

    bus.consume("rooms.activity", on_activity)
    bus.consume("rooms.accounts", on_account)
