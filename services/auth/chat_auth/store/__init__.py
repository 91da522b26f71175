"""What auth keeps in MongoDB: users, sessions with their refresh tokens, signing keys."""

from chat_auth.store.imported_users import ImportedUsers
from chat_auth.store.sessions import SessionStore
from chat_auth.store.signing_keys import SigningKeyStore, StoredKey
from chat_auth.store.users import UserStore

__all__ = ["ImportedUsers", "SessionStore", "SigningKeyStore", "StoredKey", "UserStore"]
