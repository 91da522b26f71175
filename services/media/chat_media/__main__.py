"""`python -m chat_media` runs one process of media."""

from chat_shared.app import run_service

from chat_media.main import create_app
from chat_media.settings import Settings

run_service(Settings, create_app)
