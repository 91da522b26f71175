"""Settings that are refused, and the names of the original that are understood."""

import subprocess
import sys

import pytest
from chat_auth.settings import Settings
from pydantic import ValidationError

TOKEN = "kJ8sdf7KJHkjh2398KJHsd98f7sdkjhKJH"
KEY = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ZERO_KEY = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def settings(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Settings:
    for name, value in {"CHAT_SERVICE_TOKEN": TOKEN, "CHAT_MASTER_KEYS": KEY, **environ}.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.mark.parametrize(
    ("text", "seconds"), [("900", 900), ("15m", 900), ("1d", 86_400), ("1h", 3600), ("60 s", 60)]
)
def test_names_and_durations_of_the_original(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: int
) -> None:
    given = settings(monkeypatch, ACCESS_TOKEN_EXPIRY=text, REFRESH_TOKEN_EXPIRY="10d")
    assert given.access_token_seconds == seconds
    assert given.refresh_idle_seconds == 864_000


@pytest.mark.parametrize("text", ["", "soon", "-5", "1y", "99999999d"])
def test_bad_durations(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(ValidationError):
        settings(monkeypatch, CHAT_ACCESS_TOKEN_SECONDS=text)


def test_production_is_stricter_than_development(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch).register_address_rate == "20/hour"
    assert settings(monkeypatch).login_address_rate == "20/15 minutes"
    assert settings(monkeypatch, CHAT_ENVIRONMENT="development").register_address_rate == "10000/hour"


@pytest.mark.parametrize(
    "environ",
    [
        {"CHAT_MASTER_KEYS": "changeme"},
        {"CHAT_MASTER_KEYS": "k1:c2hvcnQ="},
        {"CHAT_MASTER_KEYS": ZERO_KEY},
        {"CHAT_MASTER_KEYS": f"{KEY},{ZERO_KEY.replace('k1', 'k2')}"},
        {"CHAT_SERVICE_TOKEN": "short"},
    ],
)
def test_weak_or_broken_secrets_are_refused_without_showing_them(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    with pytest.raises(ValidationError) as refusal:
        settings(monkeypatch, **environ)
    assert not any(value in str(refusal.value) for value in environ.values())


def test_rates_have_to_be_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        settings(monkeypatch, CHAT_LOGIN_ACCOUNT_RATE="many")


def test_start_without_secrets_says_what_to_set() -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "chat_auth"], env={}, capture_output=True, text=True, timeout=30, check=False
    )
    assert outcome.returncode == 2
    assert "CHAT_MASTER_KEYS" in outcome.stderr
    assert "CHAT_SERVICE_TOKEN" in outcome.stderr
    assert "Traceback" not in outcome.stderr
