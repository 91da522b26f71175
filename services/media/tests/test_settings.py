"""What media refuses to start with."""

import pytest
from chat_media.settings import Settings
from pydantic import ValidationError

GOOD = "Zk3vQ8xL1pT6wR9yB2nM5cH7jD4fG0sA"


def load(**values: object) -> Settings:
    known = {"environment": "production", "service_token": GOOD, "media_url_key": GOOD[::-1]}
    return Settings(**{**known, **values})


class TestSettings:
    def test_defaults(self) -> None:
        settings = load()
        assert (settings.port, settings.upload_rate) == (8104, "120/10 minutes")
        assert not settings.uses_cloudinary

    def test_url_key_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CHAT_MEDIA_URL_KEY", raising=False)
        with pytest.raises(ValidationError, match="CHAT_MEDIA_URL_KEY"):
            Settings(service_token=GOOD)  # type: ignore[call-arg]

    @pytest.mark.parametrize("key", ["short", "a" * 64, "changeme-changeme-changeme-changeme"])
    def test_weak_url_key(self, key: str) -> None:
        with pytest.raises(ValidationError, match="CHAT_MEDIA_URL_KEY is missing or weak"):
            load(media_url_key=key)
        load(media_url_key=key, environment="development")

    def test_half_an_account_at_cloudinary(self) -> None:
        whole = {"cloudinary_cloud_name": "c", "cloudinary_api_key": "k", "cloudinary_api_secret": "s"}
        assert load(**whole).uses_cloudinary
        for missing in whole:
            with pytest.raises(ValidationError, match="together, or none"):
                load(**{**whole, missing: ""})

    def test_original_names_of_the_account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CLOUD_NAME", "API_KEY", "API_SECRET"):
            monkeypatch.setenv(f"CLOUDINARY_{name}", "x")
        assert load().uses_cloudinary

    def test_malformed_rate(self) -> None:
        with pytest.raises(ValidationError):
            load(upload_rate="many")

    def test_links_live_an_hour_at_most(self) -> None:
        with pytest.raises(ValidationError):
            load(link_seconds=3601)
