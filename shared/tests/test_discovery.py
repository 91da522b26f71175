"""Finding the processes behind a name."""

import asyncio
from collections.abc import Sequence

import pytest
from chat_shared.discovery import Discovery
from chat_shared.testing import eventually


class Names:
    """A name server; a name without addresses cannot be looked up."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses = addresses

    async def __call__(self, name: str, _port: int) -> Sequence[str]:
        if name not in self.addresses:
            raise OSError(f"{name} is not known")
        return self.addresses[name]


def test_fixed_urls_are_there_at_once() -> None:
    assert Discovery(["http://a:1/", "http://b:2"], lambda _urls: None).current == [
        "http://a:1",
        "http://b:2",
    ]


async def test_a_name_stands_for_all_its_addresses() -> None:
    found: list[list[str]] = []
    names = Names(messaging=["10.0.0.2", "10.0.0.1", "10.0.0.1", "fd00::1"])
    discovery = Discovery(["dns+http://messaging:8000", "http://fixed:1"], found.append, names)
    assert discovery.current == ["http://fixed:1"]
    await discovery.look()
    expected = ["http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://[fd00::1]:8000", "http://fixed:1"]
    assert found == [expected]
    assert discovery.current == expected


async def test_only_changes_are_told() -> None:
    found: list[list[str]] = []
    names = Names(messaging=["10.0.0.1", "10.0.0.2"])
    discovery = Discovery(["dns+http://messaging:8000"], found.append, names)
    await discovery.look()
    names.addresses["messaging"] = ["10.0.0.2", "10.0.0.1"]
    await discovery.look()
    names.addresses["messaging"] = ["10.0.0.3"]
    await discovery.look()
    assert found == [["http://10.0.0.1:8000", "http://10.0.0.2:8000"], ["http://10.0.0.3:8000"]]


async def test_a_name_that_cannot_be_looked_up_keeps_what_it_had() -> None:
    names = Names(messaging=["10.0.0.1"])
    discovery = Discovery(["dns+http://messaging:8000", "dns+http://rooms"], lambda _urls: None, names)
    await discovery.look()
    names.addresses = {"rooms": ["10.0.0.9"]}
    await discovery.look()
    assert discovery.current == ["http://10.0.0.1:8000", "http://10.0.0.9:80"]


async def test_a_lookup_that_hangs_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It occupies a thread until the system gives it up."""
    monkeypatch.setattr("chat_shared.discovery.LIMIT_SECONDS", 0.01)
    answered, begun = asyncio.Event(), 0

    async def hang(_name: str, _port: int) -> Sequence[str]:
        nonlocal begun
        begun += 1
        await answered.wait()
        return ["10.0.0.1"]

    discovery = Discovery(["dns+http://messaging:8000"], lambda _urls: None, hang)
    await discovery.look()
    await discovery.look()
    assert (begun, discovery.current) == (1, [])
    answered.set()

    async def knows() -> bool:
        await discovery.look()
        return discovery.current == ["http://10.0.0.1:8000"]

    await eventually(knows)


async def test_names_are_looked_up_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat_shared.discovery.LOOK_SECONDS", 0.01)
    names = Names()
    found: list[list[str]] = []
    discovery = Discovery(["dns+http://messaging:8000"], found.append, names)
    await discovery.start()
    try:
        names.addresses = {"messaging": ["10.0.0.1"]}
        await eventually(lambda: found == [["http://10.0.0.1:8000"]])
        names.addresses = {"messaging": ["10.0.0.2"]}
        await eventually(lambda: found[1:] == [["http://10.0.0.2:8000"]])
    finally:
        await discovery.stop()


async def test_the_machine_knows_its_own_name() -> None:
    discovery = Discovery(["dns+http://localhost:8000"], lambda _urls: None)
    await discovery.look()
    assert "http://127.0.0.1:8000" in discovery.current
