"""Ports are remembered between starts, and never taken from somebody else."""

import json
import socket
from pathlib import Path

from chat_local.ports import PortBook, is_free


def test_ports_are_free_and_differ(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    ports = [book.port(name) for name in ("a", "b", "c")]
    assert len(set(ports)) == 3
    assert all(is_free(port) for port in ports)


def test_a_port_is_the_same_at_the_next_start(tmp_path: Path) -> None:
    first = PortBook(tmp_path / "ports.json")
    port = first.port("mongod")
    first.save()
    assert PortBook(tmp_path / "ports.json").port("mongod") == port


def test_a_remembered_port_that_is_taken_is_replaced(tmp_path: Path) -> None:
    first = PortBook(tmp_path / "ports.json")
    port = first.port("mongod")
    first.save()
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert PortBook(tmp_path / "ports.json").port("mongod") != port


def test_who_reads_while_they_are_saved_sees_all_of_them(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    port = book.port("mongod")
    book.save()
    with (tmp_path / "ports.json").open() as reading:
        book.port("redis")
        book.save()
        assert json.load(reading) == {"mongod": port}
    assert [file.name for file in tmp_path.iterdir()] == ["ports.json"]


def test_ports_not_asked_for_this_time_are_not_forgotten(tmp_path: Path) -> None:
    first = PortBook(tmp_path / "ports.json")
    port = first.port("messaging-2")
    first.save()
    second = PortBook(tmp_path / "ports.json")
    second.port("messaging-1")
    second.save()
    assert PortBook(tmp_path / "ports.json").port("messaging-2") == port
