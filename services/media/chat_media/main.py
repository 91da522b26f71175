"""The wiring of media: every part is made here and nowhere else."""

from chat_shared.app import create_service_app
from chat_shared.auth import create_authenticator
from chat_shared.bus import Bus
from chat_shared.http import ServiceClient
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from chat_shared.rate_limits import RateLimiter
from chat_shared.redis import RedisConnection
from fastapi import FastAPI

from chat_media.api import Parts, internal_routes, media_router, upload_routes
from chat_media.api.forms import UploadSlots
from chat_media.api.parts import UPLOAD_RATE
from chat_media.clients import Rooms
from chat_media.consumers import consume_events
from chat_media.domain.links import LinkSigner
from chat_media.imaging.pool import ImagePool
from chat_media.service.access import Access
from chat_media.service.attachments import Attachments
from chat_media.service.content import ContentStores
from chat_media.service.removal import Removal
from chat_media.service.sweeper import Sweeper
from chat_media.service.uploads import Uploads
from chat_media.settings import Settings
from chat_media.store import CloudinaryAccount, CloudinaryStore, FileStore, GridFSStore, Usage

DATABASE = "chat_media"


def create_app(settings: Settings) -> FastAPI:
    """Return the app of media; call it inside the running event loop."""
    service_token = settings.service_token.get_secret_value()
    mongo = Mongo(settings.mongo_url, DATABASE)
    redis = RedisConnection(settings.redis_url)
    bus = Bus(settings.amqp_url, source=settings.service)
    outbox = Outbox(mongo, bus, instance=settings.instance)
    auth = ServiceClient("auth", settings.auth_urls, service_token)
    rooms = ServiceClient("rooms", settings.rooms_urls, service_token)

    cloudinary = [CloudinaryStore(_account(settings))] if settings.uses_cloudinary else []
    stores = ContentStores(GridFSStore(mongo), *cloudinary)
    files, usage = FileStore(mongo), Usage(mongo)
    images = ImagePool(settings.image_workers)
    sweeper = Sweeper(mongo, files, usage, stores, settings.sweep_seconds)
    removal = Removal(mongo, files, outbox, sweeper)
    links = LinkSigner(settings.media_url_key.get_secret_value(), settings.link_seconds)
    consume_events(bus, removal)

    app = create_service_app(
        settings,
        title="Chat: media",
        description="Uploads of images and other files, and who may see them.",
        components=[mongo, redis, auth, rooms, *stores.all, images, bus, outbox, sweeper],
        checks={"mongodb": mongo.check},
        is_prepared=lambda: mongo.is_prepared,
    )
    app.state.authenticator = create_authenticator(settings, auth, redis.client)
    app.state.parts = Parts(
        uploads=Uploads(
            mongo, files, usage, outbox, stores, images, Rooms(rooms), quota=settings.user_quota_bytes
        ),
        access=Access(files, Rooms(rooms), links),
        attachments=Attachments(files),
        removal=removal,
        stores=stores,
        limiter=RateLimiter(redis.client, {UPLOAD_RATE: str(settings.upload_rate)}),
        slots=UploadSlots(settings.parallel_uploads),
        public_url=settings.public_url,
    )
    app.include_router(upload_routes(settings.max_image_bytes, settings.max_file_bytes))
    app.include_router(media_router)
    app.include_router(internal_routes(settings.max_image_bytes))
    return app


def _account(settings: Settings) -> CloudinaryAccount:
    return CloudinaryAccount(
        cloud_name=settings.cloudinary_cloud_name,
        api_key=settings.cloudinary_api_key,
        api_secret=settings.cloudinary_api_secret.get_secret_value(),
        url_prefix=settings.cloudinary_url_prefix,
        folder=settings.cloudinary_folder,
        seconds=settings.cloudinary_seconds,
    )
