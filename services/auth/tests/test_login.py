"""POST /auth/login."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import bcrypt
import jwt
import pytest
from bson import ObjectId
from chat_shared.mongo import Document
from chat_shared.testing import ApiClient, User
from chat_shared.testing.api_client import response_cookies
from pymongo.asynchronous.database import AsyncDatabase

LOGIN = "/auth/login"


async def log_in(client: ApiClient, user: User, password: str = "", **fields: str) -> Any:
    names = fields or {"username": user.username}
    return await client.send("POST", LOGIN, json={**names, "password": password or user.password})


class TestLogin:
    async def test_by_username_email_or_both_without_regard_to_case(self, auth: ApiClient) -> None:
        user = await auth.register()
        name, address = user.username.upper(), user.email.upper()
        for names in ({"username": name}, {"email": address}, {"username": name, "email": address}):
            response = await log_in(auth, user, **names)
            assert response.status_code == 200
            assert response.json()["data"]["user"]["id"] == user.id

    async def test_username_and_email_of_two_accounts(self, auth: ApiClient, ada: User) -> None:
        other = await auth.register()
        response = await log_in(auth, ada, username=ada.username, email=other.email)
        assert response.status_code == 401

    async def test_body_holds_user_and_tokens(self, auth: ApiClient) -> None:
        user = await auth.register()
        response = await log_in(auth, user)
        data = response.json()["data"]
        assert set(data) == {"user", "accessToken", "refreshToken", "expiresIn"}
        assert data["user"]["email"] == user.email
        assert data["expiresIn"] == 900
        assert response.headers["cache-control"] == "no-store"

    async def test_access_token_is_what_rfc_9068_asks_for(self, auth: ApiClient, ada: User) -> None:
        header = jwt.get_unverified_header(ada.access_token)
        claims = jwt.decode(ada.access_token, options={"verify_signature": False})
        assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": header["kid"]}
        assert set(claims) == {"iss", "aud", "sub", "sid", "iat", "exp", "jti"}
        assert (claims["iss"], claims["aud"], claims["sub"]) == ("chat-auth", "chat", ada.id)
        assert claims["exp"] - claims["iat"] == 900

    @pytest.mark.parametrize(
        "body",
        [
            {"password": "correct horse"},
            {"username": "ada"},
            {"username": "", "password": "x"},
            {"username": "ada", "password": ""},
            {"username": "ada", "password": "x" * 129},
            {"username": "x" * 255, "password": "x"},
            {"username": "ada", "password": "x", "role": "admin"},
            {"username": {"$ne": None}, "password": "x"},
            {"username": "ada", "password": {"$regex": ".*"}},
            {"email": ["ada"], "password": "x"},
        ],
    )
    async def test_bad_bodies(self, auth: ApiClient, body: dict[str, Any]) -> None:
        await auth.refused("POST", LOGIN, json=body, status=400, code="validation_failed")

    async def test_large_password_costs_nothing(self, auth: ApiClient) -> None:
        body = {"username": "ada", "password": "x" * 1024 * 1024}
        await auth.refused("POST", LOGIN, json=body, status=413, code="content_too_large")


class TestCookies:
    @pytest.mark.parametrize(("environment", "secure"), [("development", ""), ("production", True)])
    async def test_attributes(
        self,
        environment: str,
        secure: object,
        start_auth: Callable[..., Awaitable[Any]],
        make_client: Callable[..., ApiClient],
    ) -> None:
        process = await start_auth(CHAT_ENVIRONMENT=environment)
        async with make_client(process, "10.0.0.2") as client:
            cookies = response_cookies(await log_in(client, await client.register()))
        for name, path, max_age in (("accessToken", "/", 900), ("refreshToken", "/api/v1/auth", 2_592_000)):
            attributes = {key: value for key, value in cookies[name].items() if value}
            expected = {"path": path, "max-age": str(max_age), "httponly": True, "samesite": "strict"}
            assert attributes == {**expected, "secure": True} if secure else expected


class TestWrongCredentials:
    async def test_unknown_account_and_wrong_password_look_the_same(self, auth: ApiClient, ada: User) -> None:
        wrong = await log_in(auth, ada, password="wrong horse battery")
        unknown = await log_in(auth, ada, username="nobody_of_this_name", password="wrong horse battery")
        for response in (wrong, unknown):
            assert response.status_code == 401
            assert response.json()["code"] == "wrong_credentials"
        assert wrong.json() == unknown.json()

    async def test_unknown_account_and_wrong_password_take_the_same_time(
        self, start_auth: Callable[..., Awaitable[Any]], make_client: Callable[..., ApiClient]
    ) -> None:
        process = await start_auth(
            CHAT_LOGIN_ACCOUNT_RATE="1000/minute", CHAT_LOGIN_ADDRESS_RATE="1000/minute"
        )
        async with make_client(process, "10.0.0.3") as client:
            known = (await client.register()).username
            seconds: dict[str, list[float]] = {known: [], "nobody_of_this_name": []}
            for _ in range(20):
                for name, taken in seconds.items():
                    started = time.perf_counter()
                    response = await client.send("POST", LOGIN, json={"username": name, "password": "wrong"})
                    taken.append(time.perf_counter() - started)
                    assert response.status_code == 401
        one, other = (statistics.median(taken) for taken in seconds.values())
        # Without the dummy hash an unknown name answers in a tenth of the time.
        assert 0.6 < one / other < 1.67

    async def test_sixth_guess_at_an_account_is_refused_whatever_the_password(
        self, auth: ApiClient, other_auth: ApiClient, ada: User
    ) -> None:
        for number in range(5):
            client = auth if number % 2 else other_auth
            assert (await log_in(client, ada, password="wrong horse battery")).status_code == 401
        by_email = await log_in(auth, ada, email=ada.email)
        assert by_email.status_code == 429
        assert 850 < int(by_email.headers["retry-after"]) <= 900
        assert (await auth.send("GET", "/auth/me", ada)).status_code == 200

    async def test_success_forgets_the_wrong_ones(self, auth: ApiClient, ada: User) -> None:
        for _ in range(2):
            for _ in range(4):
                assert (await log_in(auth, ada, password="wrong horse battery")).status_code == 401
            assert (await log_in(auth, ada)).status_code == 200

    async def test_many_guesses_at_once_gain_nothing(self, auth: ApiClient, ada: User) -> None:
        guesses = [log_in(auth, ada, password=f"wrong horse {number}") for number in range(20)]
        statuses = [response.status_code for response in await asyncio.gather(*guesses)]
        assert statuses.count(401) <= 5
        assert set(statuses) <= {401, 429}

    async def test_twenty_first_guess_from_an_address_is_refused(
        self, auth: ApiClient, ada: User, new_address: Callable[[], str]
    ) -> None:
        for number in range(20):
            response = await log_in(auth, ada, username=f"nobody_{number}", password="wrong horse battery")
            assert response.status_code == 401
        assert (await log_in(auth, ada)).status_code == 429
        auth.http.headers["x-forwarded-for"] = new_address()
        assert (await log_in(auth, ada)).status_code == 200

    async def test_address_cannot_be_chosen_by_the_client(self, auth: ApiClient, ada: User) -> None:
        """The proxy appends the address it sees; what a client wrote before it does not count."""
        true_address = auth.http.headers["x-forwarded-for"]
        for number in range(20):
            auth.http.headers["x-forwarded-for"] = f"192.0.2.{number}, {true_address}"
            response = await log_in(auth, ada, username=f"no_one_{number}", password="wrong horse battery")
            assert response.status_code == 401
        assert (await log_in(auth, ada)).status_code == 429


class TestUpgrade:
    async def test_bcrypt_hash_of_the_original_is_replaced(
        self, auth: ApiClient, auth_database: AsyncDatabase[Document]
    ) -> None:
        user = await auth.register()
        old = bcrypt.hashpw(user.password.encode(), bcrypt.gensalt(4)).decode()
        query = {"_id": ObjectId(user.id)}
        await auth_database.users.update_one(query, {"$set": {"passwordHash": old}})
        for _ in range(2):
            assert (await log_in(auth, user)).status_code == 200
            stored = await auth_database.users.find_one(query)
            assert stored is not None
            assert stored["passwordHash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


class TestFlood:
    async def test_other_requests_go_on(
        self, start_auth: Callable[..., Awaitable[Any]], make_client: Callable[..., ApiClient]
    ) -> None:
        process = await start_auth(CHAT_LOGIN_ADDRESS_RATE="1000/minute")
        async with make_client(process, "10.0.0.4") as client:
            logins = [
                asyncio.create_task(
                    client.send(
                        "POST",
                        LOGIN,
                        json={"username": f"nobody_{number}", "password": "wrong"},
                        timeout=60,
                    )
                )
                for number in range(100)
            ]
            answered = 0
            while not all(login.done() for login in logins):
                async with asyncio.timeout(5):
                    assert (await client.http.get("/healthz")).status_code == 200
                answered += 1
            statuses = {(await login).status_code for login in logins}
        assert answered > 5
        assert statuses <= {401, 503}
