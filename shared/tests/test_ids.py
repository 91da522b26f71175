"""Ids sort by the moment they were made."""

import uuid

from chat_shared.ids import uuid7


def test_ids_of_one_process_ascend() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_the_form_is_version_7() -> None:
    value = uuid.UUID(uuid7())
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
