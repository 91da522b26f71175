"""What messaging refuses to start with."""

import pytest
from chat_messaging.crash_points import POINTS
from chat_messaging.settings import Settings
from pydantic import ValidationError

GOOD = "Zk3vQ8xL1pT6wR9yB2nM5cH7jD4fG0sA"
MASTER_KEYS = "k1:c2l4dGVlbi1ieXRlcy1zaXh0ZWVuLWJ5dGVzLWtleXM="


def load(**values: object) -> Settings:
    known = {"environment": "production", "service_token": GOOD, "master_keys": MASTER_KEYS}
    return Settings(**{**known, **values})


class TestCrashAt:
    @pytest.mark.parametrize("point", POINTS)
    def test_production_refuses_every_point(self, point: str) -> None:
        with pytest.raises(ValidationError, match="CHAT_CRASH_AT"):
            load(crash_at=f"{point}:1")

    @pytest.mark.parametrize("point", POINTS)
    def test_development_takes_every_point(self, point: str) -> None:
        assert load(crash_at=f"{point}:20", environment="development").crash_at == f"{point}:20"

    @pytest.mark.parametrize("where", ["nowhere:1", "before_insert:0", "before_insert:often"])
    def test_nonsense_is_refused_at_the_start(self, where: str) -> None:
        with pytest.raises(ValidationError):
            load(crash_at=where, environment="development")

    def test_nothing_is_the_default(self) -> None:
        assert load().crash_at == ""
