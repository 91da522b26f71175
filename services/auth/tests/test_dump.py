"""What a thief of the database, of Redis or of the logs gets: nothing that opens a door."""

import base64
from typing import Any

import pytest
from bson import encode
from chat_shared.mongo import Document
from chat_shared.testing import ApiClient, User
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

#: `{"alg` in base64url; fewer bytes are there by chance, among so many random ones.
JWT_BEGINNING = b"eyJhbGci"


@pytest.fixture
async def secrets_used(auth: ApiClient, ada: User) -> list[str]:
    """Passwords and tokens that went through every route that takes one."""
    new_password = "a canary 44 battery"
    refreshed = await auth.data("POST", "/auth/refreshToken", json={"refreshToken": ada.refresh_token})
    await auth.send("POST", "/auth/login", json={"username": "a canary 45 battery", "password": "canary 46"})
    await auth.send("POST", "/auth/register", json={"password": "canary 47 battery"})
    body = {"currentPassword": ada.password, "newPassword": new_password}
    await auth.call("POST", "/auth/password", ada, json=body)
    ada.password = new_password
    await auth.login(ada)
    return [
        ada.password, new_password, ada.access_token, ada.refresh_token, "canary 4",
        refreshed["accessToken"], refreshed["refreshToken"],
    ]  # fmt: skip


async def test_dump_holds_no_password_token_or_cookie(
    secrets_used: list[str],
    auth_database: AsyncDatabase[Document],
    auth_redis: Redis,
    auth_processes: list[Any],
) -> None:
    dump = b"".join(
        [encode(document) for name in await auth_database.list_collection_names()
         async for document in auth_database[name].find()]
    )  # fmt: skip
    assert b"argon2id" in dump
    keys = b"\n".join([key async for key in auth_redis.scan_iter()])
    log = auth_processes[0].log.read_bytes()
    assert b"login_failed" in log
    for secret in secrets_used:
        for form in (secret.encode(), secret.split(".")[-1].encode(), base64.b64encode(secret.encode())):
            assert form not in dump
            assert form not in keys
            assert form not in log
    assert JWT_BEGINNING not in log
    assert JWT_BEGINNING not in dump
