"""Start of the service: `python -m chat_messaging`."""

from chat_shared.app import run_service

from chat_messaging.main import create_app
from chat_messaging.settings import Settings

if __name__ == "__main__":
    run_service(Settings, create_app)
