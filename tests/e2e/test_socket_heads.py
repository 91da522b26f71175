"""`heads`: a socket is told now and then how far its rooms were delivered to it."""

from chat_shared.contracts.sockets import DeliveredHeads
from chat_shared.testing import Connect, NewRoom, User

BEAT_SECONDS = 40
"""More than `CHAT_HEADS_SECONDS` is where nobody set it."""


async def test_what_was_delivered_is_told_behind_it(
    connect: Connect, new_room: NewRoom, alice: User, bob: User
) -> None:
    busy, quiet = (await new_room(alice, bob))["id"], (await new_room(alice, bob))["id"]
    foreign = (await new_room(alice))["id"]
    writer, reader = await connect(alice, gateway=0), await connect(bob, gateway=1)
    for number in range(3):
        await writer.done("send_message", {"roomId": busy, "content": str(number)})

    def tells_all(payload: dict[str, object]) -> bool:
        return DeliveredHeads.model_validate(payload).heads.get(busy) == 3

    told = await reader.wait_for("heads", tells_all, timeout=BEAT_SECONDS)
    assert told["epoch"] >= 1
    assert told["heads"][quiet] == 0
    assert foreign not in told["heads"]
    last = reader.events("new-message")[-1]
    assert reader.received.index(("new-message", last)) < reader.received.index(("heads", told))
