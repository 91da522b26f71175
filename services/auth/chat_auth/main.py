"""The wiring of auth: every part is made here and nowhere else."""

from datetime import timedelta

from chat_shared.app import create_service_app
from chat_shared.auth import Authenticator
from chat_shared.bus import Bus
from chat_shared.crypto import MasterKeys
from chat_shared.http import ServiceClient
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from chat_shared.rate_limits import RateLimiter
from chat_shared.redis import RedisConnection
from chat_shared.tokens import KeySet, TokenVerifier
from fastapi import FastAPI

from chat_auth.api import ROUTERS
from chat_auth.api.routing import Services
from chat_auth.clients import AvatarClient
from chat_auth.domain.sessions import Lifetimes
from chat_auth.hashing import PasswordHasher
from chat_auth.presence import Presence
from chat_auth.service.account_end import AccountEnd
from chat_auth.service.account_start import AccountStart
from chat_auth.service.accounts import REGISTER_ADDRESS, Accounts
from chat_auth.service.administration import Administration
from chat_auth.service.password_check import LOGIN_ACCOUNT, LOGIN_ADDRESS, PasswordCheck
from chat_auth.service.profiles import Profiles
from chat_auth.service.session_end import SessionEnd
from chat_auth.service.session_guard import StoredSessionGuard
from chat_auth.service.sessions import Sessions
from chat_auth.service.signing_keys import KeyPolicy, KeyRing
from chat_auth.service.tokens import TokenIssuer
from chat_auth.settings import Settings
from chat_auth.store import SessionStore, SigningKeyStore, UserStore

DATABASE = "chat_auth"


def create_app(settings: Settings) -> FastAPI:
    """Return the app of auth; call it inside the running event loop."""
    mongo = Mongo(settings.mongo_url, DATABASE)
    redis = RedisConnection(settings.redis_url)
    bus = Bus(settings.amqp_url, source=settings.service)
    outbox = Outbox(mongo, bus, instance=settings.instance, redis=redis.client)
    media = ServiceClient("media", settings.media_urls, settings.service_token.get_secret_value())
    hasher = PasswordHasher()

    users, sessions = UserStore(mongo), SessionStore(mongo)
    master_keys = MasterKeys.parse(settings.master_keys.get_secret_value())
    lifetimes = Lifetimes(
        access=timedelta(seconds=settings.access_token_seconds),
        idle=timedelta(seconds=settings.refresh_idle_seconds),
        absolute=timedelta(seconds=settings.session_seconds),
    )
    policy = KeyPolicy(timedelta(days=settings.signing_key_days), lifetimes.access)
    keys = KeyRing(SigningKeyStore(mongo), master_keys, policy)
    mongo.prepare_with(keys.renew)

    limiter = RateLimiter(redis.client, _rates(settings))
    passwords = PasswordCheck(hasher, limiter)
    issuer = TokenIssuer(keys, lifetimes, issuer=settings.token_issuer, audience=settings.token_audience)
    session_end = SessionEnd(mongo, sessions, outbox, redis.client, lifetimes.access)
    account_start = AccountStart(mongo, users, outbox, hasher)
    account_end = AccountEnd(mongo, users, sessions, outbox, session_end)

    app = create_service_app(
        settings,
        title="Chat: auth",
        description="Accounts, sessions, access tokens and public profiles.",
        components=[mongo, redis, bus, outbox, media, hasher, keys],
        checks={"mongodb": mongo.check},
        is_prepared=lambda: mongo.is_prepared,
    )
    app.state.authenticator = _create_authenticator(settings, keys, sessions)
    app.state.services = Services(
        accounts=Accounts(
            mongo,
            users,
            sessions,
            outbox,
            hasher,
            passwords,
            session_end,
            account_start,
            account_end,
            AvatarClient(media),
            limiter,
        ),
        sessions=Sessions(mongo, users, sessions, passwords, issuer, session_end, master_keys, lifetimes),
        profiles=Profiles(users, Presence(redis.client)),
        administration=Administration(
            mongo, users, sessions, hasher, session_end, account_start, account_end
        ),
        keys=keys,
        environment=settings.environment,
        secure_cookies=not settings.is_development,
        origins=settings.origins,
    )
    for router in ROUTERS:
        app.include_router(router)
    return app


def _rates(settings: Settings) -> dict[str, str]:
    return {
        LOGIN_ACCOUNT: settings.login_account_rate,
        LOGIN_ADDRESS: str(settings.login_address_rate),
        REGISTER_ADDRESS: str(settings.register_address_rate),
    }


def _create_authenticator(settings: Settings, keys: KeyRing, sessions: SessionStore) -> Authenticator:
    """Check tokens with our own keys and sessions; auth asks nobody."""

    async def own_keys() -> bytes:
        return keys.public_document()

    verifier = TokenVerifier(KeySet(own_keys), issuer=settings.token_issuer, audience=settings.token_audience)
    return Authenticator(verifier, StoredSessionGuard(sessions), settings.origins)
