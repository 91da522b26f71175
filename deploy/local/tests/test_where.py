"""Which installation a command works with, and whose secrets it shows to whom."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_local.client.errors import CommandFailed
from chat_local.client.where import DEFAULT_URL, auth_api, broker_url, installation_url
from chat_local.ports import PortBook
from chat_local.state import StateFolder
from chat_shared.http import SERVICE_TOKEN_HEADER

ELSEWHERE = "http://auth:8101"
URL = "http://localhost:9000"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[StateFolder]:
    """What a stack has in its state folder while it runs."""
    state = StateFolder(tmp_path)
    state.acquire()
    state.secrets.mkdir()
    (state.secrets / "chat_service_token").write_text("of the stack\n")
    ports = PortBook(state.ports_file)
    for name in ("auth-1", "rabbitmq"):
        ports.port(name)
        state.pid_file_of(name).write_text("1\n")
    ports.save()
    state.url_file.write_text(URL)
    yield state
    state.release()


def port_of(state: StateFolder, name: str) -> int:
    port = PortBook.remembered(state.ports_file, name)
    assert port
    return port


def test_the_stack_that_runs_is_meant(running: StateFolder) -> None:
    assert installation_url("", running.path) == URL
    assert installation_url("http://localhost:1", running.path) == "http://localhost:1"
    auth = auth_api({}, running.path)
    assert auth.url == f"http://127.0.0.1:{port_of(running, 'auth-1')}"
    assert auth._headers[SERVICE_TOKEN_HEADER] == "of the stack"
    assert f":{port_of(running, 'rabbitmq')}/" in broker_url({}, running.path)


def test_one_that_was_killed_is_not(running: StateFolder) -> None:
    """Its ports may be somebody else's by now."""
    running.release()
    assert installation_url("", running.path) == DEFAULT_URL
    for ask in (auth_api, broker_url):
        with pytest.raises(CommandFailed, match="runs on"):
            ask({}, running.path)


@pytest.mark.parametrize(("name", "ask"), [("auth-1", auth_api), ("rabbitmq", broker_url)])
def test_nor_what_the_running_one_does_not_have(running: StateFolder, name: str, ask: object) -> None:
    running.pid_file_of(name).unlink()
    assert callable(ask)
    with pytest.raises(CommandFailed, match=f"No {name} of a stack runs on"):
        ask({}, running.path)


def test_nothing_ever_ran(tmp_path: Path) -> None:
    assert installation_url("", tmp_path) == DEFAULT_URL
    with pytest.raises(CommandFailed, match="CHAT_AUTH_URLS"):
        auth_api({"CHAT_SERVICE_TOKEN": "t"}, tmp_path)
    with pytest.raises(CommandFailed, match="CHAT_AMQP_URL"):
        broker_url({}, tmp_path)


def test_who_asks_does_not_keep_a_stack_from_starting(running: StateFolder) -> None:
    running.release()
    assert not StateFolder(running.path).is_held()
    running.acquire()
    assert StateFolder(running.path).is_held()


def test_settings_win(running: StateFolder) -> None:
    environ = {"CHAT_AUTH_URLS": f"dns+{ELSEWHERE},http://other", "CHAT_SERVICE_TOKEN": "t"}
    auth = auth_api(environ, running.path)
    assert (auth.url, auth._headers[SERVICE_TOKEN_HEADER]) == (ELSEWHERE, "t")
    assert broker_url({"AMQP_URL": "amqp://other/"}, running.path) == "amqp://other/"


def test_the_token_of_the_stack_goes_nowhere_else(running: StateFolder, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=f"no service token for {ELSEWHERE}"):
        auth_api({"CHAT_AUTH_URLS": ELSEWHERE}, running.path)
    secrets = tmp_path / "others"
    secrets.mkdir()
    (secrets / "chat_service_token").write_text("of the others")
    auth = auth_api({"CHAT_AUTH_URLS": ELSEWHERE, "CHAT_SECRETS_DIR": str(secrets)}, running.path)
    assert auth._headers[SERVICE_TOKEN_HEADER] == "of the others"
    local = auth_api({"CHAT_SECRETS_DIR": str(secrets)}, running.path)
    assert local._headers[SERVICE_TOKEN_HEADER] == "of the stack"
