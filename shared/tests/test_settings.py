"""Settings: where they come from, and which secrets are refused."""

from pathlib import Path

import pytest
from chat_shared.app import load_settings
from chat_shared.settings import ServiceSettings, is_weak_secret
from pydantic import ValidationError

STRONG = "mBvN3xQ7pL0sRz8TtYw2KfGhJd5C1uVa-E6iOo9Xq4"


@pytest.mark.parametrize(
    "secret", ["", "short", "a" * 64, "changeme-changeme-changeme-0123456789", "password" * 8]
)
def test_weak_secrets(secret: str) -> None:
    assert is_weak_secret(secret)


def test_a_random_secret_is_not_weak() -> None:
    assert not is_weak_secret(STRONG)


def test_production_refuses_a_weak_secret_and_says_what_to_set() -> None:
    with pytest.raises(ValidationError, match="CHAT_SERVICE_TOKEN"):
        ServiceSettings(environment="production", service_token="secret")


def test_development_accepts_it() -> None:
    assert ServiceSettings(environment="development", service_token="secret").is_development


def test_a_missing_secret_is_refused_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAT_SERVICE_TOKEN", raising=False)
    with pytest.raises(ValidationError, match="CHAT_SERVICE_TOKEN"):
        ServiceSettings(environment="development")


def test_secrets_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "chat_service_token").write_text(STRONG)
    monkeypatch.setenv("CHAT_SECRETS_DIR", str(tmp_path))
    assert ServiceSettings().service_token.get_secret_value() == STRONG


def test_the_originals_names_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://old")
    monkeypatch.setenv("CHAT_SERVICE_TOKEN", STRONG)
    assert ServiceSettings().mongo_url == "mongodb://old"


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_SERVICE_TOKEN", STRONG)
    monkeypatch.setenv("CHAT_ROOMS_URLS", "http://a:1, http://b:2")
    monkeypatch.setenv("CHAT_ALLOWED_ORIGINS", "https://app.example.org/")
    settings = ServiceSettings()
    assert settings.rooms_urls == ["http://a:1", "http://b:2"]
    assert settings.origins == {"http://localhost:8080", "https://app.example.org"}


def test_secrets_do_not_show() -> None:
    settings = ServiceSettings(environment="development", service_token=STRONG)
    assert STRONG not in repr(settings)


def test_a_secret_that_cannot_be_read_stops_the_program_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chat_service_token").write_bytes(b"\xff")
    monkeypatch.setenv("CHAT_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SystemExit):
        load_settings(ServiceSettings)
    assert "can't decode byte" in capsys.readouterr().err
