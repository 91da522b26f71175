"""Which of the sessions that only hold memory has to go."""

import pytest
from chat_gateway_ws.handshakes import Handshakes


@pytest.fixture
def handshakes() -> Handshakes:
    return Handshakes(4, 2)


def test_the_oldest_of_the_same_address_goes(handshakes: Handshakes) -> None:
    assert handshakes.add("other", "192.0.2.2") is None
    assert handshakes.add("a", "192.0.2.1") is None
    assert handshakes.add("b", "192.0.2.1") is None
    assert handshakes.add("c", "192.0.2.1") == "a"
    assert handshakes.add("d", "192.0.2.1") == "b"
    assert len(handshakes) == 3


def test_the_oldest_of_all_goes(handshakes: Handshakes) -> None:
    for number in range(4):
        assert handshakes.add(str(number), f"192.0.2.{number}") is None
    assert handshakes.add("4", "192.0.2.4") == "0"
    assert handshakes.add("5", "192.0.2.5") == "1"
    assert len(handshakes) == 4


def test_who_asked_to_be_let_in_stays(handshakes: Handshakes) -> None:
    handshakes.add("asks", "192.0.2.1")
    handshakes.remove("asks")
    handshakes.remove("asks")
    handshakes.add("a", "192.0.2.1")
    handshakes.add("b", "192.0.2.1")
    assert handshakes.add("c", "192.0.2.1") == "a"


def test_a_customers_network_is_one_address(handshakes: Handshakes) -> None:
    for number in range(2):
        assert handshakes.add(str(number), f"2001:db8:1:2::{number}") is None
    assert handshakes.add("2", "2001:db8:1:2:3::2") == "0"
    assert handshakes.add("3", "2001:db8:1:3::2") is None
