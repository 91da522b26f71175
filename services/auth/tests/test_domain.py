"""The rules, without anything around them."""

from datetime import UTC, datetime, timedelta

import pytest
from chat_auth.domain import signing_keys
from chat_auth.domain.accounts import lookup_key, normalise_email
from chat_auth.domain.passwords import COMMON_PASSWORDS, check_new_password
from chat_auth.domain.sessions import (
    REUSE_GRACE,
    Lifetimes,
    RefreshToken,
    digest_of,
    first_token,
    new_family_secret,
    successor_of,
)
from chat_auth.domain.signing_keys import PUBLISH_LEAD, RETIRE_MARGIN, SigningKey
from chat_auth.errors import InvalidEmail, WeakPassword

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


class TestNames:
    def test_case_and_space_do_not_make_a_name_new(self) -> None:
        assert lookup_key(" Ada ") == lookup_key("aDA")

    def test_domain_of_an_address_is_lower_case(self) -> None:
        assert normalise_email(" Ada@Example.COM ") == "Ada@example.com"

    @pytest.mark.parametrize("address", ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@example"])
    def test_what_is_no_address(self, address: str) -> None:
        with pytest.raises(InvalidEmail):
            normalise_email(address)


class TestPasswords:
    @pytest.mark.parametrize("password", ["correct horse", "x" * 7 + "ÿ", "a7" * 64])
    def test_good_ones(self, password: str) -> None:
        check_new_password(password, "ada", "ada@example.com")

    @pytest.mark.parametrize(
        "password",
        ["short77", "x" * 129, "password1", "PassWord1", "qwertyuiop", "Ada@Example.com", "ADA.LOVELACE"],
    )
    def test_weak_ones(self, password: str) -> None:
        with pytest.raises(WeakPassword) as refusal:
            check_new_password(password, "ada.lovelace", "ada@example.com", field="newPassword")
        assert refusal.value.errors[0].field == "newPassword"

    def test_list_is_what_it_says(self) -> None:
        assert len(COMMON_PASSWORDS) == 3000
        assert all(len(word) >= 8 and word == word.casefold() for word in COMMON_PASSWORDS)


class TestRefreshTokens:
    def test_successor_is_the_same_every_time_and_for_nobody_else(self) -> None:
        secret, token = new_family_secret(), first_token()
        assert successor_of(token, secret) == successor_of(token, secret) != token
        assert successor_of(token, new_family_secret()) != successor_of(token, secret)

    def test_tokens_have_256_bits(self) -> None:
        secret, token = new_family_secret(), first_token()
        assert len(token) == len(successor_of(token, secret)) == 43
        assert len(digest_of(token)) == 32

    @pytest.mark.parametrize(
        ("used_before", "successor_used", "is_reuse"),
        [
            (None, False, False),
            (SECOND, False, False),
            (REUSE_GRACE, False, False),
            (REUSE_GRACE + SECOND, False, True),
            (SECOND, True, True),
        ],
    )
    def test_reuse(self, used_before: timedelta | None, successor_used: bool, is_reuse: bool) -> None:
        used_at = NOW - used_before if used_before is not None else None
        token = RefreshToken(b"digest", "session", "user", NOW + DAY, used_at)
        assert token.is_reuse(NOW, successor_used=successor_used) is is_reuse

    @pytest.mark.parametrize(
        ("age", "left"), [(0 * DAY, 30 * DAY), (50 * DAY, 30 * DAY), (80 * DAY, 10 * DAY)]
    )
    def test_session_ends_idle_or_absolute(self, age: timedelta, left: timedelta) -> None:
        lifetimes = Lifetimes(access=SECOND, idle=30 * DAY, absolute=90 * DAY)
        assert lifetimes.session_end(NOW - age, NOW) == NOW + left


class TestSigningKeys:
    old = SigningKey("old", 1, b"", NOW - 30 * DAY)
    new = SigningKey("new", 2, b"", NOW)

    def test_the_latest_begun_key_signs(self) -> None:
        assert signing_keys.current_key([self.new, self.old], NOW) == self.new
        assert signing_keys.current_key([self.new, self.old], NOW - SECOND) == self.old
        assert signing_keys.current_key([self.new], NOW - SECOND) is None

    def test_successor_is_needed_a_lead_before_the_age_is_reached(self) -> None:
        almost = self.old.active_from + 30 * DAY - PUBLISH_LEAD
        assert signing_keys.needs_successor([], NOW, 30 * DAY)
        assert signing_keys.needs_successor([self.old], almost, 30 * DAY)
        assert not signing_keys.needs_successor([self.old], almost - SECOND, 30 * DAY)
        assert not signing_keys.needs_successor([self.old, self.new], NOW, 30 * DAY)

    def test_a_key_goes_when_its_last_token_is_over(self) -> None:
        over = NOW + timedelta(minutes=15) + RETIRE_MARGIN
        keys = [self.new, self.old]
        assert signing_keys.retired_keys(keys, over, timedelta(minutes=15)) == [self.old]
        assert signing_keys.retired_keys(keys, over - SECOND, timedelta(minutes=15)) == []
