"""Two processes race for a room; the one that has to follow the other dies before it commits.

Arguments: MongoDB's URL, the database, the room.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from test_appender import Process


async def main(url: str, database: str, room_id: str) -> None:
    """Store two entries, and die inside the transaction of the third."""
    rival = await Process(url, database).start()
    dying = await Process(url, database, crash_at="before_commit:1").start()
    await dying.send(room_id)
    await rival.send(room_id)
    await dying.send(room_id)


asyncio.run(main(*sys.argv[1:]))
