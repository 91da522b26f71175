"""What the use cases work with."""

from dataclasses import dataclass

from chat_shared.rate_limits import RateLimiter

from chat_rooms.clients import Accounts, RoomLogs
from chat_rooms.domain import Bounds
from chat_rooms.service.cleaning import Cleaner
from chat_rooms.store import Positions, Queries, Transactions


@dataclass(frozen=True, slots=True)
class Parts:
    """Wired once in `main`."""

    queries: Queries
    transactions: Transactions
    positions: Positions
    cleaner: Cleaner
    accounts: Accounts
    room_logs: RoomLogs
    bounds: Bounds
    limits: RateLimiter
