"""The collections of db chat_rooms, their indexes, and their documents as values of the domain.

    rooms          {_id, roomName, searchName, roomType, description, createdBy, memberCount, members, rev,
                    lastSeq, lastMessageAt, activeAt, createdAt, updatedAt}
    memberships    {_id, roomId, userId, role, rev, joinedAt, lastReadSeq}
    users          {_id, entries, deletedAt?}    who enters rooms: see `Transaction.claim_place`
    deleted_rooms  {_id, deletedAt}              rooms that are gone, but not yet all of their memberships
    imported_rooms {_id, members}                rooms and members that were imported, also when they are gone

`createdBy` is the current owner, the name that existing clients read. `members` are the first by order of
joining. A room's document is written in every transaction that changes its members or their roles, so that
two such transactions conflict and one of them is repeated by the driver.
"""

from bson import ObjectId
from chat_shared.mongo import Document, Mongo
from pymongo import ASCENDING, DESCENDING, IndexModel

from chat_rooms.domain import Membership, Room, search_key


def new_id() -> str:
    """Return the id of a new room."""
    return str(ObjectId())


class Collections:
    """Handles of the collections."""

    def __init__(self, mongo: Mongo) -> None:
        self.rooms = mongo.collection("rooms")
        self.memberships = mongo.collection("memberships")
        self.users = mongo.collection("users")
        self.deleted_rooms = mongo.collection("deleted_rooms")
        self.imported_rooms = mongo.collection("imported_rooms")
        mongo.prepare_with(self._create_indexes)

    async def _create_indexes(self) -> None:
        await self.rooms.create_indexes(
            [
                # Serves the list of public rooms and the search in it without touching documents.
                IndexModel(
                    [
                        ("roomType", ASCENDING),
                        ("createdAt", DESCENDING),
                        ("_id", DESCENDING),
                        ("searchName", ASCENDING),
                    ],
                    name="by_creation",
                ),
            ]
        )
        await self.memberships.create_indexes(
            [
                IndexModel([("roomId", ASCENDING), ("userId", ASCENDING)], name="one_per_room", unique=True),
                IndexModel([("userId", ASCENDING)], name="by_user"),
                IndexModel(
                    [("roomId", ASCENDING), ("joinedAt", ASCENDING), ("userId", ASCENDING)], name="by_joining"
                ),
                IndexModel(
                    [("roomId", ASCENDING), ("joinedAt", ASCENDING), ("userId", ASCENDING)],
                    name="admins_by_joining",
                    partialFilterExpression={"role": "admin"},
                ),
            ]
        )


def room_from(document: Document) -> Room:
    """Return the room in a document of `rooms`."""
    return Room(
        id=str(document["_id"]),
        name=document["roomName"],
        type=document["roomType"],
        description=document["description"],
        owner_id=str(document["createdBy"]),
        member_count=document["memberCount"],
        listed_members=tuple(str(user_id) for user_id in document["members"]),
        rev=document["rev"],
        last_seq=document["lastSeq"],
        last_message_at=document["lastMessageAt"],
        active_at=document["activeAt"],
        created_at=document["createdAt"],
        updated_at=document["updatedAt"],
    )


def room_fields(room: Room) -> Document:
    """Return what a change of the room writes; the last message is not part of it (see `Positions`)."""
    return {
        "roomName": room.name,
        "searchName": search_key(room.name),
        "roomType": room.type,
        "description": room.description,
        "createdBy": ObjectId(room.owner_id),
        "memberCount": room.member_count,
        "members": [ObjectId(user_id) for user_id in room.listed_members],
        "rev": room.rev,
        "updatedAt": room.updated_at,
    }


def new_room_document(room: Room) -> Document:
    """Return the document of a room that did not exist before."""
    return {
        "_id": ObjectId(room.id),
        **room_fields(room),
        "lastSeq": room.last_seq,
        "lastMessageAt": room.last_message_at,
        "activeAt": room.active_at,
        "createdAt": room.created_at,
    }


def membership_from(document: Document) -> Membership:
    """Return the membership in a document of `memberships`."""
    return Membership(
        room_id=str(document["roomId"]),
        user_id=str(document["userId"]),
        role=document["role"],
        rev=document["rev"],
        joined_at=document["joinedAt"],
        last_read_seq=document["lastReadSeq"],
    )


def membership_document(membership: Membership) -> Document:
    """Return the document of a membership that did not exist before."""
    return {
        **membership_key(membership.room_id, membership.user_id),
        "role": membership.role,
        "rev": membership.rev,
        "joinedAt": membership.joined_at,
        "lastReadSeq": membership.last_read_seq,
    }


def membership_key(room_id: str, user_id: str) -> Document:
    """Return the filter for one user in one room."""
    return {"roomId": ObjectId(room_id), "userId": ObjectId(user_id)}
