"""`chat import`: what happens to a room while a run is in the middle of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import chat_auth.settings
import chat_messaging.settings
import chat_rooms.settings
from chat_auth.importing import open_accounts
from chat_local.express.migration import Migration
from chat_local.express.report import Report
from chat_local.express.shapes import Document, message_from
from chat_local.express.source import OldDatabase
from chat_messaging.importing import open_messages
from chat_rooms.importing import History, OldRoom, open_rooms
from chat_shared.testing import ApiClient, Connect, eventually
from chat_shared.testing.express_database import populated
from chat_shared.testing.importing import Importer, NewImporter, check_room, log_in

if TYPE_CHECKING:
    from chat_local.stack import Stack

Happens = Callable[[], Awaitable[list[Document]]]


class _Interrupted(OldDatabase):
    """Lets something happen behind the first messages; what it returns is read next."""

    def __init__(self, url: str, happens: Happens) -> None:
        super().__init__(url)
        self._happens = happens

    async def messages(self) -> AsyncIterator[tuple[str | None, list[Document]]]:
        async for room_id, documents in super().messages():
            yield room_id, documents
            if later := await self._happens():
                yield room_id, later


class _Run:
    """The parts of an import, opened in this process."""

    def __init__(self, stack: "Stack") -> None:
        self._settings: dict[str, Any] = {
            "environment": "development",
            "mongo_url": stack.mongo_url,
            "service_token": stack.secrets["chat_service_token"],
            "master_keys": stack.secrets["chat_master_keys"],
        }
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> "_Run":
        enter, how = self._exits.enter_async_context, {"dry_run": False, "publishes": False}
        auth = chat_auth.settings.Settings(**self._settings)
        self.accounts = await enter(open_accounts(auth, **how))
        self.rooms = await enter(open_rooms(chat_rooms.settings.Settings(**self._settings), **how))
        messaging = chat_messaging.settings.Settings(**self._settings)
        self.messages = await enter(open_messages(messaging, dry_run=False))
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._exits.aclose()

    async def bring(self, importer: Importer, happens: Happens) -> Report:
        """Run it all; return what it told."""
        report = Report(lambda _line: None)
        async with _Interrupted(importer.url, happens) as old:
            await Migration(old, self.accounts, self.rooms, self.messages, report).run()
        return report


def _sums(report: Report) -> dict[str, list[str]]:
    lines: list[str] = []
    report._say = lines.append
    report.tell_sums()
    return {line.split()[0]: line.split()[1:] for line in lines[1:]}


async def test_another_run_makes_the_room_appear(
    new_importer: NewImporter, own_stack: "Stack", api: ApiClient, connect: Connect, old_hash: str
) -> None:
    """Who is in the room by then hears what this run appends, and it counts as unread."""
    database = populated(old_hash, users=2, rooms=0, messages=0)
    owner, member = database.users
    room = database.add_room(owner, member)
    database.add_message(room, owner)
    importer = await new_importer(database)
    heard: list[Any] = []

    async def other_run() -> list[Document]:
        ended = await importer.run()
        assert (ended.code, ended.sums("rooms")) == (0, (1, 0, 0, 0)), ended.output
        heard.append(await connect(await log_in(api, member)))
        return [database.add_message(room, owner)]

    async with _Run(own_stack) as run:
        report = await run.bring(importer, other_run)
    assert report.is_complete
    told = await heard[0].wait_for("new-message", timeout=15)
    assert (told["_id"], told["seq"]) == (database.expected(room)[1], 2)

    async def counted() -> bool:
        shown = await api.data("GET", f"/room/{room['_id']}", await log_in(api, member))
        return (shown["lastSeq"], shown["unread"]) == (2, 1)

    await eventually(counted, timeout=15)


async def test_the_room_knows_of_messages_that_nobody_told(
    new_importer: NewImporter, own_stack: "Stack", api: ApiClient, old_hash: str
) -> None:
    """A run that looked just before the room appeared moves it forward when it is done with it."""
    database = populated(old_hash, users=2, rooms=0, messages=0)
    owner, member = database.users
    room = database.add_room(owner, member)
    database.add_message(room, owner)
    assert (await (await new_importer(database)).run()).code == 0
    later = message_from(database.add_message(room, owner)).by(str(owner["_id"]))
    room_id, members = str(room["_id"]), [str(user["_id"]) for user in database.users]
    old = OldRoom(
        *(room_id, room["roomName"], room["roomType"], room["description"]),
        {user_id: place for place, user_id in enumerate(members)},
        *(room["createdAt"], room["updatedAt"]),
    )
    async with _Run(own_stack) as run:
        await run.messages.append(room_id, [later], is_live=False)
        history = History(await run.messages.head(room_id), later.created_at)
        assert not (await run.rooms.bring(old, history)).entered
    reader = await log_in(api, member)
    shown = await api.data("GET", f"/room/{room_id}", reader)
    assert (shown["lastSeq"], shown["unread"]) == (2, 1)


async def test_the_room_is_deleted(
    new_importer: NewImporter, own_stack: "Stack", api: ApiClient, old_hash: str
) -> None:
    """That is no reason to call the run incomplete, also where somebody was about to come in."""
    database = populated(old_hash, users=3, rooms=0, messages=0)
    owner, member, newcomer = database.users
    room = database.add_room(owner, member)
    database.add_message(room, owner)
    importer = await new_importer(database)
    assert (await importer.run()).code == 0
    await check_room(api, await log_in(api, owner), room, database)
    room["members"].append(newcomer["_id"])
    await importer.store(database)

    async def deletion() -> list[Document]:
        await api.call("DELETE", f"/room/{room['_id']}", await log_in(api, owner))
        return []

    async with _Run(own_stack) as run:
        report = await run.bring(importer, deletion)
    assert report.is_complete
    sums = _sums(report)
    assert (sums["rooms"], sums["members"]) == (["0", "0", "1", "0"], ["0", "0", "3", "0"])
