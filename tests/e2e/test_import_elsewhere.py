"""`chat import` into an installation that is not the local stack: what it takes and leaves alone."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from chat_auth.service.signing_keys import KeyPolicy, KeyRing
from chat_auth.store import SigningKeyStore
from chat_local.stack import Stack, StackOptions
from chat_shared import outbox
from chat_shared.bus import Bus
from chat_shared.contracts.base import utc_now
from chat_shared.contracts.events import UserRegistered
from chat_shared.crypto import MasterKeys
from chat_shared.importing import opened, relaying
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from chat_shared.testing import eventually
from chat_shared.testing.express_database import populated
from chat_shared.testing.importing import Importer, NewImporter
from pymongo import AsyncMongoClient

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.database import AsyncDatabase

DATABASES = ("chat_auth", "chat_rooms", "chat_messaging")


@dataclass
class Elsewhere:
    """The servers of an installation whose services do not run."""

    servers: Stack
    client: AsyncMongoClient[dict[str, Any]]
    settings: dict[str, str]
    """As its services have them, but for the broker."""

    @property
    def auth(self) -> "AsyncDatabase[dict[str, Any]]":
        """The database of auth."""
        return self.client["chat_auth"]

    async def start_once(self) -> None:
        """Store what auth stores when it starts for the first time."""
        mongo = Mongo(self.servers.mongo_url, "chat_auth")
        keys = MasterKeys.parse(self.servers.secrets["chat_master_keys"])
        policy = KeyPolicy(timedelta(days=1), timedelta(days=1))
        try:
            await KeyRing(SigningKeyStore(mongo), keys, policy).renew()
        finally:
            await mongo.stop()

    async def leave_event(self) -> None:
        """Leave an event of a process that died before it was published."""
        event = UserRegistered(user_id="a" * 24, username="ada")
        row = {"_id": event.event_id, "key": event.key, "body": event.model_dump_json(), "owner": "auth-1"}
        await self.auth["outbox"].insert_one({**row, "leasedUntil": utc_now() - timedelta(hours=1)})

    async def owners_of_events(self) -> list[str]:
        """Return whose events wait to be published."""
        return [row["owner"] for row in await self.auth["outbox"].find().sort("owner").to_list()]

    async def everything(self) -> dict[str, Any]:
        """Return all databases, collections, indexes and documents."""
        found: dict[str, Any] = {}
        for name in set(await self.client.list_database_names()) - {"admin", "config", "local"}:
            for collection in await self.client[name].list_collection_names():
                stored = self.client[name][collection]
                found[f"{name}.{collection}"] = (
                    await stored.index_information(),
                    await stored.find().to_list(),
                )
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with Stack(StackOptions(tmp_path_factory.mktemp("elsewhere"), services=False)) as stack:
        yield stack


@pytest_asyncio.fixture
async def elsewhere(servers: Stack) -> AsyncIterator[Elsewhere]:
    """Another installation, with nothing in it."""
    settings = {
        "CHAT_MONGO_URL": servers.mongo_url,
        "CHAT_SECRETS_DIR": str(servers.options.state_dir / "secrets"),
    }
    async with AsyncMongoClient[dict[str, Any]](servers.mongo_url) as client:
        for name in DATABASES:
            await client.drop_database(name)
        yield Elsewhere(servers, client, settings)


@pytest_asyncio.fixture
async def importer(new_importer: NewImporter, old_hash: str) -> Importer:
    """It names the state folder of a stack that runs, beside which the other installation is."""
    return await new_importer(populated(old_hash, users=3, rooms=1, messages=2))


@pytest.mark.parametrize("names_broker", [False, True])
async def test_events_go_to_no_broker_but_their_own(
    importer: Importer, elsewhere: Elsewhere, names_broker: bool
) -> None:
    """Those of the import wait for the services, unless the broker is named; those of others always do."""
    await elsewhere.start_once()
    await elsewhere.leave_event()
    broker = {"CHAT_AMQP_URL": elsewhere.servers.amqp_url} if names_broker else {}
    ended = await importer.run(**elsewhere.settings, **broker)
    assert ended.code == 0, ended.output
    own = [] if names_broker else ["import"] * 3
    assert await elsewhere.owners_of_events() == ["auth-1", *own]


async def test_it_never_publishes_for_others(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not while it waits for something: a service that is down has its events when it comes back."""
    monkeypatch.setattr(outbox, "SWEEP_SECONDS", 0.01)
    await elsewhere.leave_event()
    mongo = Mongo(elsewhere.servers.mongo_url, "chat_auth")
    bus = Bus(elsewhere.servers.amqp_url, source="auth")
    own = Outbox(mongo, bus, instance="import")

    async def add(session: "AsyncClientSession") -> None:
        await own.add(session, UserRegistered(user_id="b" * 24, username="bob"))

    async def told() -> bool:
        own.flush()
        return "import" not in await elsewhere.owners_of_events()

    async with opened(mongo, dry_run=False), relaying(bus, own, publishes=True):
        for _ in range(5):
            await mongo.transaction(add)
            await eventually(told, 20)
    assert await elsewhere.owners_of_events() == ["auth-1"]


async def test_accounts_leave_an_audit_line(importer: Importer, elsewhere: Elsewhere) -> None:
    await elsewhere.start_once()
    lines = (await importer.run(**elsewhere.settings)).output.splitlines()
    audit = [json.loads(line) for line in lines if line.startswith("{")]
    assert [(line["message"], line["action"], line["count"], line["by"]) for line in audit] == [
        ("audit", "accounts_imported", 3, "operator")
    ]


@pytest.mark.parametrize("names_broker", [False, True])
async def test_a_dry_run_leaves_everything_as_it_is(
    importer: Importer, elsewhere: Elsewhere, names_broker: bool
) -> None:
    """No index, no database, no event is another after it."""
    await elsewhere.start_once()
    await elsewhere.leave_event()
    before = await elsewhere.everything()
    broker = {"CHAT_AMQP_URL": elsewhere.servers.amqp_url} if names_broker else {}
    ended = await importer.run("--dry-run", **elsewhere.settings, **broker)
    assert (ended.code, ended.sums("messages")) == (0, (2, 0, 0, 0)), ended.output
    assert await elsewhere.everything() == before


async def test_keys_of_the_local_stack_are_not_taken(importer: Importer, elsewhere: Elsewhere) -> None:
    await elsewhere.start_once()
    ended = await importer.run(CHAT_MONGO_URL=elsewhere.settings["CHAT_MONGO_URL"])
    assert ended.code == 2, ended.output
    assert "CHAT_SECRETS_DIR" in ended.output


@pytest.mark.parametrize("option", [(), ("--dry-run",)], ids=["run", "dry run"])
async def test_keys_that_nothing_confirms(
    importer: Importer, elsewhere: Elsewhere, option: tuple[str, ...]
) -> None:
    """Where no service has started yet, any keys would do, and the services might have others."""
    ended = await importer.run(*option, **elsewhere.settings)
    assert ended.code == 2, ended.output
    assert "start the services once" in ended.output
    assert await elsewhere.auth["users"].count_documents({}) == 0


async def test_an_index_that_cannot_be_made(importer: Importer, elsewhere: Elsewhere) -> None:
    """It says why and ends, where a service would try for ever."""
    await elsewhere.start_once()
    await elsewhere.auth["outbox"].create_index("other", name="leasedUntil_1__id_1")
    ended = await importer.run(**elsewhere.settings)
    assert ended.code == 1, ended.output
    assert "leasedUntil_1__id_1" in ended.output
