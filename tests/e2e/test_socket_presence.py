"""Who is online: over all sockets of a user and all gateways."""

from typing import Any

from chat_shared.testing import (
    ApiClient,
    Connect,
    NewRoom,
    NewUser,
    SocketClient,
    User,
    eventually,
    is_timestamp,
)


def about(user: User) -> Any:
    """Return the test whether an event is about this user."""
    return lambda event: event["userId"] == user.id


async def test_online_and_offline(
    api: ApiClient, connect: Connect, new_room: NewRoom, new_user: NewUser
) -> None:
    """The first socket makes a user online in each of their rooms, the last one's end offline."""
    watcher, comer = await new_user(), await new_user()
    rooms = {(await new_room(watcher, comer))["id"], (await new_room(comer, watcher))["id"]}
    watching = await connect(watcher, gateway=0)
    coming = await connect(comer, gateway=1)

    online = await watching.wait_for_many("user-online", 2, about(comer))
    assert {event["roomId"] for event in online} == rooms
    assert [set(event) for event in online] == [{"userId", "roomId"}] * 2
    assert (await api.data("GET", f"/users/{comer.id}", watcher))["isOnline"] is True

    await coming.disconnect()
    offline = await watching.wait_for_many("user-offline", 2, about(comer), timeout=15)
    assert {event["roomId"] for event in offline} == rooms

    async def seen_last() -> bool:
        profile = await api.data("GET", f"/users/{comer.id}", watcher)
        return profile["isOnline"] is False and is_timestamp(profile["lastSeen"])

    await eventually(seen_last, what="the profile says offline, and since when")


async def test_a_second_socket_changes_nothing(
    connect: Connect, new_room: NewRoom, new_user: NewUser
) -> None:
    """While one socket lives, on whichever gateway, the user is online: nobody is told anything."""
    watcher, steady, leaver = await new_user(), await new_user(), await new_user()
    await new_room(watcher, steady, leaver)
    watching = await connect(watcher, gateway=0)
    stays = await connect(steady, gateway=0)
    goes = await connect(steady, gateway=1)
    measure = await connect(leaver, gateway=1)
    await watching.wait_for("user-online", about(leaver))
    assert len(watching.events("user-online", about(steady))) == 1

    await goes.disconnect()
    await measure.disconnect()  # its end is announced after the same grace, so later than the other would be
    await watching.wait_for("user-offline", about(leaver), timeout=15)
    assert watching.events("user-offline", about(steady)) == []
    assert stays.connected


async def test_coming_back_within_the_grace_is_no_news(
    connect: Connect, new_room: NewRoom, new_user: NewUser
) -> None:
    """A page that is loaded again does not flicker, also where it comes back to another gateway."""
    watcher, flicker, leaver = await new_user(), await new_user(), await new_user()
    await new_room(watcher, flicker, leaver)
    watching = await connect(watcher, gateway=0)
    first, measure = await connect(flicker, gateway=0), await connect(leaver, gateway=0)
    for user in (flicker, leaver):  # who comes and goes within a moment is no news at all
        await watching.wait_for("user-online", about(user))
    first.cut()
    back: SocketClient = await connect(flicker, gateway=1)
    await measure.disconnect()
    await watching.wait_for("user-offline", about(leaver), timeout=15)
    assert watching.events("user-offline", about(flicker)) == []
    assert len(watching.events("user-online", about(flicker))) == 1
    assert back.connected


async def test_private_room_shows_nobody_to_outsiders(
    connect: Connect, new_room: NewRoom, new_user: NewUser
) -> None:
    insider, outsider = await new_user(), await new_user()
    await new_room(insider, roomType="private")
    shared = (await new_room(insider, outsider))["id"]
    watching = await connect(outsider, gateway=0)
    await connect(insider, gateway=1)
    await watching.wait_for("user-online", about(insider))
    assert {event["roomId"] for event in watching.events("user-online")} == {shared}
