"""Envelope encryption fails closed."""

import base64

import pytest
from chat_shared.crypto import DecryptionFailed, MasterKeys, Sealed, seal, unseal
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def key_text(key_id: str, byte: int) -> str:
    return f"{key_id}:{base64.urlsafe_b64encode(bytes([byte]) * 32).decode()}"


def test_what_is_wrapped_can_be_unwrapped() -> None:
    keys = MasterKeys.parse(key_text("k1", 1))
    sealed = keys.wrap(b"room key", b"room 1")
    assert keys.unwrap(Sealed.from_document(sealed.to_document()), b"room 1") == b"room key"


def test_an_older_master_key_still_reads() -> None:
    sealed = MasterKeys.parse(key_text("k1", 1)).wrap(b"room key", b"p")
    both = MasterKeys.parse(f"{key_text('k2', 2)},{key_text('k1', 1)}")
    assert both.active_id == "k2"
    assert both.unwrap(sealed, b"p") == b"room key"


def test_a_removed_master_key_does_not_read() -> None:
    sealed = MasterKeys.parse(key_text("k1", 1)).wrap(b"room key", b"p")
    with pytest.raises(DecryptionFailed):
        MasterKeys.parse(key_text("k2", 2)).unwrap(sealed, b"p")


def test_another_place_does_not_open() -> None:
    key = AESGCM(bytes(32))
    with pytest.raises(DecryptionFailed):
        unseal(key, seal("k", key, b"text", b"room 1"), b"room 2")


def test_a_changed_ciphertext_does_not_open() -> None:
    key = AESGCM(bytes(32))
    sealed = seal("k", key, b"text", b"p")
    changed = Sealed("k", sealed.nonce, bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:])
    with pytest.raises(DecryptionFailed):
        unseal(key, changed, b"p")


def test_nonces_do_not_repeat() -> None:
    key = AESGCM(bytes(32))
    assert len({seal("k", key, b"", b"").nonce for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize("text", ["", "k1", "k1:short", ":AAAA", f"{key_text('k', 1)},{key_text('k', 2)}"])
def test_malformed_master_keys_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        MasterKeys.parse(text)
