"""What the dashboard and the alerts ask for is there: asked of a Prometheus that watches the whole stack."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio
import yaml
from chat_local import debian
from chat_local.ports import PortBook
from chat_local.programs.finding import installed
from chat_shared.testing import Connect, ConnectRefused, NewRoom, NewUser, SocketClient, eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

ROOT = Path(__file__).parents[2]
OBSERVE = ROOT / "deploy" / "observe"
THRESHOLD = re.compile(r" [<>=]=? [\d.]+$")
ABSENT = re.compile(r"absent\((.*?) == 1\)")
SCRAPES = "1s"
HAS_DATA_SECONDS = 60


def dashboard_queries() -> list[str]:
    dashboard = json.loads((OBSERVE / "grafana" / "dashboards" / "chat.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def alerts() -> list[dict[str, str]]:
    groups = yaml.safe_load((OBSERVE / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def watched(expression: str) -> list[str]:
    """Return what an alert looks at: without its threshold, and what it misses one by one."""
    return ABSENT.findall(expression) or [THRESHOLD.sub("", expression)]


def prometheus_program() -> Path:
    """Return the Prometheus of this machine, or else Debian's, unpacked for this user."""
    if program := installed("Prometheus", ["prometheus"], "--version", (2, 40)):
        return program.path
    if not debian.is_available():
        pytest.skip("no Prometheus here, and no apt-get to fetch one with")
    folder = debian.unpack("prometheus", lambda _apt: ["prometheus"], lambda _root, _target: None)
    return folder / "usr" / "bin" / "prometheus"


def watching(stack: "Stack") -> dict[str, Any]:
    """Return our configuration, with the processes of the test where it finds containers by name."""
    config: dict[str, Any] = yaml.safe_load((OBSERVE / "prometheus.yml").read_text())
    [scrape] = config["scrape_configs"]
    del scrape["dns_sd_configs"]
    scrape["static_configs"] = [
        {
            "targets": [process.url.removeprefix("http://") for process in stack.instances(service)],
            "labels": {"__meta_dns_name": service},
        }
        for service in stack.options.counts()
    ]
    config["global"] = {"scrape_interval": SCRAPES, "evaluation_interval": SCRAPES}
    config["rule_files"] = [str(OBSERVE / "alerts.yml")]
    return config


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prometheus(
    own_stack: "Stack", tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx2.AsyncClient]:
    """A Prometheus that scrapes every process of the stack."""
    folder = tmp_path_factory.mktemp("prometheus")
    port = PortBook(folder / "ports.json").port("prometheus")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(watching(own_stack)))
    process = await asyncio.create_subprocess_exec(
        str(prometheus_program()),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def ask(prometheus: httpx2.AsyncClient, path: str, **parameters: str) -> Any:
    """Return what Prometheus' HTTP API answers; None until it answers."""
    try:
        answer = (await prometheus.get(f"/api/v1/{path}", params=parameters)).json()
    except (httpx2.TransportError, json.JSONDecodeError):
        return None
    assert answer["status"] == "success", answer
    return answer["data"]


async def has_data(prometheus: httpx2.AsyncClient, query: str) -> bool:
    data = await ask(prometheus, "query", query=query)
    return bool(data and data["result"])


async def chat(chat_url: str, new_user: NewUser, new_room: NewRoom, connect: Connect) -> None:
    """Cause a bit of everything that is counted only when it happens."""
    alice, bob = await new_user(), await new_user()
    room = await new_room(alice, bob)
    sender, reader = await connect(alice, gateway=0), await connect(bob, gateway=1)
    await sender.done("send_message", {"roomId": room["id"], "content": "counted"})
    await reader.wait_for("new-message")
    await sender.refused("send_message", {"roomId": room["id"]})
    with pytest.raises(ConnectRefused):
        await SocketClient().connect(chat_url, "not a token")
    await reader.disconnect()


async def test_every_query_returns_data(
    prometheus: httpx2.AsyncClient, chat_url: str, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    queries = [*dashboard_queries(), *chain.from_iterable(watched(rule["expr"]) for rule in alerts())]

    async def all_have_data() -> bool:
        await chat(chat_url, new_user, new_room, connect)
        without = [query for query in queries if not await has_data(prometheus, query)]
        assert not without, without
        return True

    await eventually(all_have_data, HAS_DATA_SECONDS, "data for every query")


async def test_every_alert_is_understood_and_none_fires_in_peace(prometheus: httpx2.AsyncClient) -> None:
    async def evaluated() -> list[dict[str, Any]]:
        groups = (await ask(prometheus, "rules"))["groups"]
        rules: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
        assert {rule["health"] for rule in rules} == {"ok"}, rules
        return rules

    rules = await eventually(evaluated, HAS_DATA_SECONDS)
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in alerts()}
    assert len(rules) == len(alerts())
    active = [(rule["name"], rule["state"]) for rule in rules if rule["state"] != "inactive"]
    # The machine of the tests may be busy for a moment.
    assert set(active) <= {("ChatLoopLag", "pending")}


async def test_every_metric_has_its_row(own_stack: "Stack") -> None:
    """Also one that is declared where the generator of the page does not look."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    told: set[str] = set()
    async with httpx2.AsyncClient() as http:
        for service in own_stack.options.counts():
            text = (await http.get(f"{own_stack.instances(service)[0].url}/metrics")).text
            told |= set(re.findall(r"^# TYPE (chat_\w+) ", text, re.MULTILINE))
    told = {name for name in told if not name.endswith("_created")}  # the library's own, of each counter
    rows = set(re.findall(r"^\| `(chat_\w+)`", page, re.MULTILINE))
    assert told == rows


def test_every_alert_says_what_to_do() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert [rule["alert"] for rule in alerts() if f"`{rule['alert']}`" not in page] == []
