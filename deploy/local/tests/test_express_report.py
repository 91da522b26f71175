"""What an import tells."""

from chat_local.express.report import LISTED_PER_ROOM, Report
from chat_shared.importing import BROUGHT, GONE, HERE, refused


def test_sums_and_completeness() -> None:
    lines: list[str] = []
    report = Report(lines.append)
    for outcome in (BROUGHT, HERE, GONE):
        report.add("users", "user 1", outcome)
    assert report.is_complete
    report.add("users", "user 2", refused("its email is missing"))
    assert not report.is_complete
    assert lines == ["Left out: user 2: its email is missing"]
    lines.clear()
    report.tell_sums()
    assert lines[1].split() == ["users", "1", "1", "1", "1"]


def test_of_a_room_that_lacks_a_hundred_messages_are_named_and_the_rest_counted() -> None:
    lines: list[str] = []
    report = Report(lines.append)
    for number in range(LISTED_PER_ROOM + 5):
        report.add_message(str(number), "r", refused("there is no such room"))
    report.room_done("r")
    assert len(lines) == LISTED_PER_ROOM + 1
    assert lines[-1] == "Left out: 5 more messages of room r"
    report.tell_sums()
    assert lines[-1].split() == ["messages", "0", "0", "0", "105"]
