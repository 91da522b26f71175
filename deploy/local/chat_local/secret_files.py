"""The secrets of a stack: one file each, made at first start and never overwritten.

The services read the folder by themselves (`CHAT_SECRETS_DIR`).
"""

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def _master_key() -> str:
    return "k1:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


_MAKERS: dict[str, Callable[[], str]] = {
    "chat_service_token": lambda: secrets.token_urlsafe(32),
    "chat_master_keys": _master_key,
    "chat_media_url_key": lambda: secrets.token_urlsafe(32),
}


def ensure_secrets(folder: Path) -> dict[str, str]:
    """Make the secrets that the folder lacks; return all of them by file name."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name, make in _MAKERS.items():
        if not (folder / name).exists():
            _write_once(folder / name, make())
    return {name: (folder / name).read_text() for name in _MAKERS}


def _write_once(path: Path, value: str) -> None:
    """Write through a temporary file: a start that dies half-way leaves no empty secret behind."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
