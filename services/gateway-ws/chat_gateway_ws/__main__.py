"""Start of the gateway: `python -m chat_gateway_ws`."""

from chat_shared.app import run_service

from chat_gateway_ws.main import create_app, serve
from chat_gateway_ws.settings import Settings

if __name__ == "__main__":
    run_service(Settings, create_app, serve)
