"""A made-up database of the Express original: what its mongoose models would have written."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

Document = dict[str, Any]
BEGIN = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)


@dataclass
class ExpressDatabase:
    """Documents by collection, to be changed at will before `store` writes them."""

    users: list[Document] = field(default_factory=list)
    rooms: list[Document] = field(default_factory=list)
    messages: list[Document] = field(default_factory=list)
    prefix: str = field(default_factory=lambda: f"x{random.randrange(16**8):08x}")
    """Makes the names of this database others than those of any other one."""

    def add_user(self, password_hash: str, **fields: Any) -> Document:
        """Add an account; the original's model lower-cases its username and email."""
        number = len(self.users)
        name = f"{self.prefix}.{number}"
        made = BEGIN + timedelta(minutes=number)
        user = {
            "_id": ObjectId(),
            "username": name,
            "firstname": f"First{number}",
            "lastname": f"Last{number}",
            "email": f"{name}@example.org",
            "password": password_hash,
            "isOnline": True,
            "lastSeen": made + timedelta(days=9),
            "avatarUrl": f"https://res.cloudinary.com/demo/image/upload/{number}.png",
            "refreshToken": "eyJhbGciOiJIUzI1NiJ9.e30.of-the-original",
            "createdAt": made,
            "updatedAt": made,
            "__v": 0,
        }
        self.users.append(user | fields)
        return self.users[-1]

    def add_room(self, creator: Document, *members: Document, **fields: Any) -> Document:
        """Add a room; its creator is its first member, as the original has it."""
        number = len(self.rooms)
        made = BEGIN + timedelta(days=1, minutes=number)
        room = {
            "_id": ObjectId(),
            "roomName": f"Room {number} {self.prefix}",
            "roomType": "private" if number % 4 == 3 else "public",
            "description": f"What room {number} is for",
            "createdBy": creator["_id"],
            "members": [creator["_id"], *(member["_id"] for member in members)],
            "createdAt": made,
            "updatedAt": made + timedelta(hours=1),
            "__v": len(members),
        }
        self.rooms.append(room | fields)
        return self.rooms[-1]

    def add_message(self, room: Document, sender: Document, **fields: Any) -> Document:
        """Add a message, a second after the one before."""
        number = len(self.messages)
        sent = BEGIN + timedelta(days=2, seconds=number)
        message = {
            "_id": ObjectId(),
            "chatRoom": room["_id"],
            "sender": sender["_id"],
            "content": f"message {number} of {self.prefix}",
            "messageType": "text",
            "readBy": [],
            "createdAt": sent,
            "updatedAt": sent,
            "__v": 0,
        }
        self.messages.append(message | fields)
        return self.messages[-1]

    async def store(self, url: str, name: str) -> None:
        """Write all documents into a database, over those of the same ids; messages in no order at all."""
        shuffled = random.sample(self.messages, len(self.messages))
        async with AsyncMongoClient[Document](url) as client:
            for collection, documents in (
                ("users", self.users),
                ("rooms", self.rooms),
                ("messages", shuffled),
            ):
                await _replace_all(client[name], collection, documents)

    def expected(self, room: Document) -> list[str]:
        """Return the ids of a room's messages in the order in which they have to come."""
        own = [message for message in self.messages if message.get("chatRoom") == room["_id"]]
        return [
            str(message["_id"])
            for message in sorted(own, key=lambda message: (message["createdAt"], message["_id"]))
        ]


async def _replace_all(database: AsyncDatabase[Document], collection: str, documents: list[Document]) -> None:
    await database[collection].delete_many({})
    if documents:
        await database[collection].insert_many(documents, ordered=False)


def populated(password_hash: str, *, users: int, rooms: int, messages: int, seed: int = 7) -> ExpressDatabase:
    """Return a database in which everything is as it should be.

    Some of the messages have the same date; a fifth of the rooms has images in it.
    """
    dice = random.Random(seed)
    database = ExpressDatabase()
    for _ in range(users):
        database.add_user(password_hash)
    for _ in range(rooms):
        members = dice.sample(database.users, dice.randint(2, min(users, 30)))
        database.add_room(*members)
    people = {user["_id"]: user for user in database.users}
    for number in range(messages):
        room = dice.choice(database.rooms)
        image = {"messageType": "image", "imageUrl": f"https://res.cloudinary.com/demo/{number}.png"}
        fields = image if number % 5 == 0 else {}
        message = database.add_message(room, people[dice.choice(room["members"])], **fields)
        if number % 10 == 0:
            message["createdAt"] = database.messages[max(0, number - 3)]["createdAt"]
    return database
