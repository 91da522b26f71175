"""Settings as they are shown."""

import pytest
from chat_shared.effective_settings import HIDDEN, effective_settings
from chat_shared.settings import ServiceSettings

TOKEN = "a-token-of-more-than-thirty-two-characters"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://chat:p@ss@rabbit:5672/", "amqp://chat:***@rabbit:5672/"),
        ("amqp://rabbit:5672/", "amqp://rabbit:5672/"),
        ("amqp://chat@rabbit/", "amqp://chat@rabbit/"),
        ("redis://h:6379/0?password=hidden&protocol=3", "redis://h:6379/0?password=***&protocol=3"),
        ("mongodb://u:p@a,b/?replicaSet=chat&tlsKey=x", "mongodb://u:***@a,b/?replicaSet=chat&tlsKey=***"),
    ],
)
def test_passwords_in_urls_are_hidden(url: str, shown: str) -> None:
    settings = ServiceSettings(service_token=TOKEN, amqp_url=url)
    assert dict(effective_settings(settings))["CHAT_AMQP_URL"] == shown


def test_secrets_are_hidden_and_all_else_is_shown() -> None:
    shown = dict(effective_settings(ServiceSettings(service_token=TOKEN, rooms_urls="http://a, http://b")))
    assert shown["CHAT_SERVICE_TOKEN"] == HIDDEN
    assert shown["CHAT_ROOMS_URLS"] == "http://a,http://b"
    assert shown["CHAT_LOG_LEVEL"] == "info"
    assert not any(TOKEN in value for value in shown.values())
