"""What the load generator wrote down is held to the promises like the history of any client."""

from collections.abc import Callable
from pathlib import Path

import pytest
from chat_faults.generator_history import BrokenHistory, Seen, read_histories
from chat_faults.measure import behind
from chat_shared.testing.delivery_checker import Log, Verdict, check_delivery

ROOM, OTHER_ROOM = "a" * 24, "b" * 24
MEMBERS = [("ann", [ROOM]), ("bob", [ROOM])]
COUNT = 3
"""Messages of a healthy run; ann sends them all."""


def sent(number: int, at: int = 0) -> str:
    return f"sent {at or number * 10_000} 0 {number} {ROOM} key-{number} b:{number}: and more"


def acked(number: int, seq: int = 0) -> str:
    return f"acked {number * 10_000 + 1} 0 {number} {seq or number} id-{number} new"


def heard(user: int, number: int, seq: int = 0, room_id: str = ROOM) -> str:
    return f"heard {number * 10_000 + 2} {user} {room_id} {seq or number} id-{number} key-{number}"


def healthy() -> list[str]:
    """Everything that happened, in order."""
    numbers = range(1, COUNT + 1)
    return [line for n in numbers for line in (sent(n), acked(n), heard(0, n), heard(1, n))]


def log() -> Log:
    """What is stored."""
    return {
        ROOM: [
            {
                "roomId": ROOM,
                "seq": number,
                "messageId": f"id-{number}",
                "clientMessageId": f"key-{number}",
                "content": f"b:{number}: and more",
            }
            for number in range(1, COUNT + 1)
        ]
    }


Read = Callable[[list[str]], Seen]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read lines as the load generator would have written them."""

    def read_lines(lines: list[str]) -> Seen:
        path = tmp_path / "history"
        path.write_text("\n".join([*lines, f"end {len(lines)}", ""]))
        return read_histories(path, MEMBERS)

    return read_lines


def kinds(seen: Seen) -> set[str]:
    verdict: Verdict = check_delivery(seen.histories, log())
    return {kind for kind, count in verdict.counts().items() if count}


def without(line: str) -> list[str]:
    return [each for each in healthy() if each != line]


def instead(line: str, *others: str) -> list[str]:
    return [new for each in healthy() for new in (others if each == line else (each,))]


def test_a_healthy_run(read: Read) -> None:
    seen = read(healthy())
    ann, bob = seen.histories
    check_delivery(seen.histories, log()).require_clean()
    assert not behind(seen.histories, {ROOM: COUNT})
    assert not seen.leaks
    assert not seen.oddities
    assert (ann.user_id, len(ann.sent), bob.user_id, bob.sent) == ("ann", COUNT, "bob", [])
    first = ann.sent[0]
    assert (first.room_id, first.client_message_id, first.content) == (ROOM, "key-1", "b:1: and more")
    assert (first.begun, first.acked_at) == pytest.approx((10e-6, 10.001e-6))
    assert first.ack == {"ok": True, "seq": 1, "messageId": "id-1", "duplicate": False}
    assert [message["seq"] for message in bob.applied[ROOM]] == [1, 2, 3]
    assert bob.applied_at[ROOM] == pytest.approx([10.002e-6, 20.002e-6, 30.002e-6])


class TestRed:
    """A run that went wrong, or a history that does"""

    @pytest.mark.parametrize(
        ("lines", "kind"),
        [
            (without(heard(1, 2)), "gap"),
            (instead(heard(1, 2), heard(1, 2), heard(1, 2)), "gap"),
            ([*instead(heard(1, 2), heard(1, 3))[:-1], heard(1, 2)], "gap"),
            ([*instead(heard(1, 2), heard(1, 3, seq=2))[:-1], heard(1, 2, seq=3)], "order"),
            ([*healthy(), heard(1, 4)], "phantom"),
            (without(sent(2)), "unexpected"),
            ([*healthy(), sent(4), acked(4)], "lost"),
            (instead(acked(2), acked(2, seq=3)), "order"),
            (instead(sent(2), sent(2, at=30_005)), "order"),
            (instead(sent(2), sent(2).replace("more", "less")), "unexpected"),
        ],
        ids=[
            "a delivery is missing",
            "a delivery is there twice",
            "two deliveries changed places",
            "two messages changed places in the eyes of one member",
            "a delivery of what is not stored",
            "a message that nobody sent",
            "an acknowledged message that is not stored",
            "an acknowledgement of another place",
            "a later message stands before an earlier one",
            "other content is stored",
        ],
    )
    def test_is_found(self, read: Read, lines: list[str], kind: str) -> None:
        assert kind in kinds(read(lines))

    def test_the_last_delivery_is_missing(self, read: Read) -> None:
        seen = read(without(heard(1, COUNT)))
        assert behind(seen.histories, {ROOM: COUNT}) == [f"a member is behind: bob saw 2 of 3 in {ROOM}"]

    def test_a_member_who_heard_nothing(self, read: Read) -> None:
        seen = read([line for line in healthy() if not line.startswith("heard") or " 0 " in line])
        assert len(behind(seen.histories, {ROOM: COUNT})) == 1

    def test_who_hears_another_room(self, read: Read) -> None:
        seen = read([*healthy(), heard(1, 9, room_id=OTHER_ROOM)])
        assert seen.leaks == [f"bob heard id-9 of {OTHER_ROOM}"]

    def test_an_answer_too_many(self, read: Read) -> None:
        assert len(read([*healthy(), acked(1)]).oddities) == 1
        assert len(read([*healthy(), acked(9)]).oddities) == 1


@pytest.mark.parametrize("finality", ["final", "retryable"])
def test_refused(read: Read, finality: str) -> None:
    seen = read([*healthy(), sent(4), f"refused 50000 0 4 busy {finality}"])
    message = seen.histories[0].sent[-1]
    is_final = finality == "final"
    assert message.answers == [{"ok": False, "error": {"code": "busy", "retryable": not is_final}}]
    assert (message.refused, message.ack) == ("busy" if is_final else None, None)
    assert kinds(seen) == set()


def test_without_an_answer_both_outcomes_are_right(read: Read) -> None:
    assert kinds(read([*healthy(), sent(4)])) == set()
    assert kinds(read(without(acked(3)))) == set()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n".join(healthy()),
        f"{sent(1)}\nend 2\n",
        "end 0\nend 0\n",
        "sang 1 0 1\nend 1\n",
        "heard 1 2 room 1 id key\nend 1\n",
        f"heard 1 0 {ROOM} x id key\nend 1\n",
        f"heard 1 0 {ROOM} 1 id\nend 1\n",
    ],
)
def test_what_is_no_whole_history_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history"
    path.write_text(text)
    with pytest.raises(BrokenHistory):
        read_histories(path, MEMBERS)
