"""`python -m chat_auth` runs one process of auth."""

from chat_shared.app import run_service

from chat_auth.main import create_app
from chat_auth.settings import Settings

run_service(Settings, create_app)
