"""`chat doctor` tells what a machine has, what it lacks, and how to mend that."""

import asyncio
import socket
from pathlib import Path

import pytest
from aiohttp import web
from chat_local import doctor
from chat_local.cli import app
from chat_local.ports import PortBook
from chat_local.stack import Stack
from typer.testing import CliRunner


@pytest.fixture
def free_port(tmp_path: Path) -> int:
    return PortBook(tmp_path / "ports.json").port("traefik")


def test_this_machine_has_everything(tmp_path: Path, free_port: int) -> None:
    result = CliRunner().invoke(app, ["doctor", f"--port={free_port}", f"--state-dir={tmp_path}"])
    assert result.exit_code == 0, result.output
    for subject in ("Python", "MongoDB", "Redis", "RabbitMQ", "Traefik", "Port", "Disk"):
        assert f"ok       {subject}" in result.output


def test_a_taken_port_is_missing_something(tmp_path: Path, free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        result = CliRunner().invoke(app, ["doctor", f"--port={free_port}", f"--state-dir={tmp_path}"])
    assert result.exit_code == 1
    assert f"MISSING  Port        {free_port} is in use" in result.output
    assert f"PORT={free_port + 1} make run" in result.output


async def test_a_port_of_something_else_is_taken(tmp_path: Path, free_port: int) -> None:
    async def hello(_request: web.Request) -> web.Response:
        return web.json_response({"data": {"environment": "hello"}})

    other = web.Application()
    other.router.add_get("/{path:.*}", hello)
    runner = web.AppRunner(other)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", free_port).start()
    try:
        found = await asyncio.to_thread(port_of, free_port, tmp_path)
    finally:
        await runner.cleanup()
    assert str(found).startswith(f"MISSING  Port        {free_port} is in use")


def port_of(port: int, state_dir: Path) -> doctor.Finding:
    findings = doctor.examine({}, port, state_dir)
    return next(finding for finding in findings if finding.subject == "Port")


async def test_a_port_of_ours_is_fine(stack: Stack, tmp_path: Path) -> None:
    port = stack.url.rpartition(":")[2]
    found = await asyncio.to_thread(port_of, int(port), tmp_path)
    assert str(found) == f"ok       Port        {port} is in use: chat runs there"


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without servers on the PATH, without Debian's tools, and with nothing fetched yet."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CHAT_CACHE_DIR", str(tmp_path / "cache"))


def rabbitmq_of(findings: list[doctor.Finding]) -> doctor.Finding:
    return next(finding for finding in findings if finding.subject == "RabbitMQ")


@pytest.mark.usefixtures("bare_path")
def test_without_debian_rabbitmq_is_missing_and_the_way_out_is_told(tmp_path: Path, free_port: int) -> None:
    finding = rabbitmq_of(doctor.examine({}, free_port, tmp_path))
    assert not finding.ok
    assert "CHAT_AMQP_URL=" in str(finding)


@pytest.mark.usefixtures("bare_path")
def test_a_server_given_by_url_needs_no_program(tmp_path: Path, free_port: int) -> None:
    given = {"CHAT_AMQP_URL": "amqp://guest:guest@localhost/"}
    assert rabbitmq_of(doctor.examine(given, free_port, tmp_path)).ok
