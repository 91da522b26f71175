"""The backing servers as one stack: their data, their ports, and one stack per folder."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from chat_local.errors import PortTaken, ServerAway, StateInUse
from chat_local.leftovers import STATE_MARK, marked
from chat_local.probes import amqp_answers, redis_answers
from chat_local.stack import Stack, StackOptions
from pymongo import AsyncMongoClient

Mongo = AsyncMongoClient[dict[str, Any]]


def backing(folder: Path, **options: Any) -> Stack:
    return Stack(StackOptions(folder, services=False, **options))


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1].split("/")[0])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with backing(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.mark.parametrize("name", ["mongod", "redis", "rabbitmq", "epmd"])
async def test_each_has_a_log_and_a_pid_file(stack: Stack, name: str) -> None:
    assert (stack.logs_dir / f"{name}.log").exists()
    assert (stack.logs_dir.parent / "run" / f"{name}.pid").read_text() == f"{stack.process(name).pid}\n"


@pytest.mark.parametrize("name", ["mongod", "redis", "rabbitmq"])
async def test_each_comes_back_when_killed(stack: Stack, name: str) -> None:
    process = stack.process(name)
    before = process.pid
    process.kill()
    await process.wait_exit()
    await process.wait_ready()
    assert process.pid != before


async def test_servers_listen_on_this_machine_only(stack: Stack) -> None:
    ours = {stack.process(name).pid for name in ("mongod", "redis", "rabbitmq", "epmd")}
    addresses = {address for pid in ours for address in listening(pid)}
    assert addresses
    assert addresses <= {"0100007F", "00000000000000000000000001000000"}


def listening(pid: int) -> set[str]:
    """Return the addresses a process listens on, as the kernel writes them."""
    sockets = {link_target(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].split(":")[0])
    return found


def link_target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


async def test_a_second_stack_on_the_folder_is_refused(stack: Stack) -> None:
    with pytest.raises(StateInUse, match=rf"pid {os.getpid()}"):
        await backing(stack.logs_dir.parent).start()
    assert stack.process("redis").is_running


async def test_a_server_given_by_url_is_used_and_not_started(stack: Stack, tmp_path: Path) -> None:
    given = {"mongo_url": stack.mongo_url, "redis_url": stack.redis_url, "amqp_url": stack.amqp_url}
    async with backing(tmp_path, **given) as second:
        assert second.mongo_url == stack.mongo_url
        assert marked(STATE_MARK, str(tmp_path)) == []


async def test_a_given_server_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ServerAway, match=r"CHAT_REDIS_URL \(127\.0\.0\.1:1\)"):
        await backing(tmp_path, redis_url="redis://:topsecret@127.0.0.1:1/0").start()
    assert marked(STATE_MARK, str(tmp_path)) == []


async def test_a_taken_port_is_told(stack: Stack, tmp_path: Path) -> None:
    taken = port_of(stack.redis_url)
    with pytest.raises(PortTaken, match=str(taken)):
        await backing(tmp_path, port=taken).start()


async def test_the_next_start_has_the_same_data_addresses_and_secrets(tmp_path: Path) -> None:
    async with backing(tmp_path) as first, Mongo(first.mongo_url) as mongo:
        await mongo.test.things.insert_one({"_id": 1})
    async with backing(tmp_path) as second:
        assert (second.mongo_url, second.amqp_url) == (first.mongo_url, first.amqp_url)
        assert second.secrets == first.secrets
        async with Mongo(second.mongo_url) as mongo:
            assert await mongo.test.things.count_documents({}) == 1
        assert (second.logs_dir / "mongod.log.1").exists()
        assert await redis_answers("127.0.0.1", port_of(second.redis_url))
        assert await amqp_answers("127.0.0.1", port_of(second.amqp_url))
    assert marked(STATE_MARK, str(tmp_path)) == []


async def test_data_survives_a_change_of_ports(tmp_path: Path) -> None:
    async with backing(tmp_path) as first, Mongo(first.mongo_url) as mongo:
        await mongo.test.things.insert_one({"_id": 1})
    (tmp_path / "run" / "ports.json").unlink()
    async with backing(tmp_path) as second:
        assert second.mongo_url != first.mongo_url
        async with Mongo(second.mongo_url) as mongo:
            assert await mongo.test.things.count_documents({}) == 1
