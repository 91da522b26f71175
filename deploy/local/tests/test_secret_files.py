"""Secrets are made once, strong, and readable by their owner alone."""

import base64
from pathlib import Path

from chat_local.secret_files import ensure_secrets


def test_made_at_first_start(tmp_path: Path) -> None:
    secrets = ensure_secrets(tmp_path / "secrets")
    assert len(secrets["chat_service_token"]) == 43
    assert len(secrets["chat_media_url_key"]) == 43
    key_id, _colon, key = secrets["chat_master_keys"].partition(":")
    assert key_id == "k1"
    assert len(base64.urlsafe_b64decode(key)) == 32


def test_never_overwritten(tmp_path: Path) -> None:
    assert ensure_secrets(tmp_path) == ensure_secrets(tmp_path)


def test_a_lost_one_is_made_again_and_the_others_stay(tmp_path: Path) -> None:
    before = ensure_secrets(tmp_path)
    (tmp_path / "chat_media_url_key").unlink()
    after = ensure_secrets(tmp_path)
    assert after["chat_media_url_key"] != before["chat_media_url_key"]
    assert after["chat_master_keys"] == before["chat_master_keys"]


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    ensure_secrets(tmp_path / "secrets")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()} == {0o600}
