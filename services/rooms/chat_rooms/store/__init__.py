"""This service's collections: the only package that reads and writes them."""

from chat_rooms.store.collections import Collections, new_id
from chat_rooms.store.deleted_rooms import DeletedRooms
from chat_rooms.store.imported_rooms import Entries, ImportedRooms
from chat_rooms.store.positions import Activity, Positions
from chat_rooms.store.queries import Queries
from chat_rooms.store.transactions import Transaction, Transactions

__all__ = [
    "Activity",
    "Collections",
    "DeletedRooms",
    "Entries",
    "ImportedRooms",
    "Positions",
    "Queries",
    "Transaction",
    "Transactions",
    "new_id",
]
