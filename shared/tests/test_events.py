"""Events as they may still wait in a queue when a new version comes."""

from chat_shared.contracts.events import MessagesAppended

ROOM, USER, MESSAGE = "a" * 24, "b" * 24, "c" * 24
ENTRY = {"messageId": MESSAGE, "seq": 7, "senderId": USER, "createdAt": "2026-01-01T00:00:00.000Z"}


def test_messages_of_many_rooms_and_of_one_as_it_was_at_first() -> None:
    head = {"eventId": "e1", "occurredAt": "2026-01-01T00:00:00.000Z"}
    now = MessagesAppended.model_validate({**head, "rooms": [{"roomId": ROOM, "entries": [ENTRY]}]})
    at_first = MessagesAppended.model_validate({**head, "roomId": ROOM, "entries": [ENTRY]})
    assert at_first == now
    assert now.rooms[0].entries[0].seq == 7
