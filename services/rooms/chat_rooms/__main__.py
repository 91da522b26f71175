"""Start of rooms: `python -m chat_rooms`."""

from chat_shared.app import run_service

from chat_rooms.main import create_app
from chat_rooms.settings import Settings

if __name__ == "__main__":
    run_service(Settings, create_app)
