"""The checker finds each kind of broken promise; a checker that finds nothing proves nothing."""

from dataclasses import replace
from typing import Any

from chat_shared.testing.careful_client import ClientHistory, SentMessage
from chat_shared.testing.delivery_checker import Verdict, check_delivery

ROOM = "room"


def entry(seq: int, key: str = "", content: str = "x") -> dict[str, Any]:
    name = key or f"m{seq}"
    return {
        "roomId": ROOM,
        "seq": seq,
        "messageId": f"id-{name}",
        "clientMessageId": name,
        "content": content,
    }


def sent(seq: int, key: str = "", begun: float = 0.0, ended: float = 0.0) -> SentMessage:
    name = key or f"m{seq}"
    ack = {"ok": True, "seq": seq, "messageId": f"id-{name}"}
    begun = begun or float(seq)
    return SentMessage(ROOM, name, "x", begun, ack=ack, ended=ended or begun + 0.5)


def check(messages: list[SentMessage], applied: list[dict[str, Any]], log: list[dict[str, Any]]) -> Verdict:
    return check_delivery([ClientHistory("user", messages, {ROOM: applied})], {ROOM: log})


def kinds(verdict: Verdict) -> set[str]:
    return {kind for kind, count in verdict.counts().items() if count}


GOOD = [entry(1), entry(2), entry(3)]
SENT = [sent(1), sent(2), sent(3)]


def test_nothing_is_wrong() -> None:
    check(SENT, GOOD, GOOD).require_clean()


def test_without_an_answer_both_outcomes_are_right() -> None:
    unknown = SentMessage(ROOM, "m3", "x", 3.0)
    check([*SENT[:2], unknown], GOOD, GOOD).require_clean()
    check([*SENT[:2], unknown], GOOD[:2], GOOD[:2]).require_clean()


def test_lost() -> None:
    assert kinds(check(SENT, GOOD[:2], GOOD[:2])) == {"lost"}


def test_dup() -> None:
    twice = [*GOOD, entry(4, "m3")]
    assert kinds(check(SENT, [], twice)) >= {"dup"}


def test_unexpected() -> None:
    assert kinds(check(SENT[:2], GOOD, GOOD)) == {"unexpected"}
    assert kinds(check(SENT, [], [*GOOD[:2], entry(3, content="another")])) == {"unexpected"}


def test_order_of_the_acknowledgement() -> None:
    wrong = replace(SENT[2], ack={"ok": True, "seq": 4, "messageId": "id-m3"})
    assert kinds(check([*SENT[:2], wrong], GOOD, GOOD)) == {"order"}


def test_order_in_real_time() -> None:
    """The second one was begun after the third one was acknowledged, and stands before it."""
    late = sent(2, begun=9.0)
    assert kinds(check([SENT[0], late, SENT[2]], GOOD, GOOD)) == {"order"}


def test_order_of_what_a_client_saw() -> None:
    seen = [entry(1), entry(2, "m3"), entry(3, "m2")]
    assert kinds(check(SENT, seen, GOOD)) == {"order"}


def test_gap() -> None:
    assert kinds(check(SENT, [GOOD[0], GOOD[2]], GOOD)) == {"gap"}
    assert "gap" in kinds(check(SENT, [], [GOOD[0], GOOD[2]]))


def test_phantom() -> None:
    assert kinds(check(SENT, [*GOOD, entry(4)], GOOD)) == {"phantom"}
