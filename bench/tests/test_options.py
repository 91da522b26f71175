"""What the command line makes of its words, and the plan that the load generator gets."""

import pytest
import typer
from chat_bench.cli import chosen
from chat_bench.generator import Client, plan_text
from chat_bench.machine import memory, processor
from chat_bench.percentiles import latency_of
from chat_bench.site import clients_of
from chat_bench.sizes import Sizes
from chat_bench.targets.target import Ground
from chat_bench.workloads.talk import compared_rate, half_rate
from made_up import talk

KNOWN = ("rooms", "hall", "storm")


def test_names_come_in_the_usual_order() -> None:
    assert chosen("storm, ROOMS", KNOWN) == ["rooms", "storm"]
    assert chosen("", KNOWN) == list(KNOWN)
    with pytest.raises(typer.BadParameter, match="stage: not among rooms, hall, storm"):
        chosen("rooms,stage", KNOWN)


def test_a_plan_names_servers_and_connections() -> None:
    clients = [
        Client("t1", ["a" * 24, "b" * 24]),
        Client("t2", []),
        Client("t3", ["c" * 24], is_stalled=True),
    ]
    assert plan_text(["http://127.0.0.1:1", "http://localhost:2"], clients).splitlines() == [
        "server 127.0.0.1 1",
        "server localhost 2",
        f"user t1 {'a' * 24} {'b' * 24}",
        "user t2",
        f"user t3 {'c' * 24} stalled",
    ]


def test_everybody_joins_their_rooms() -> None:
    ground = Ground(["r1", "r2"], {0: "u0", 1: "u1", 2: "u2"}, {0: "t0", 1: "t1", 2: "t2"})
    assert clients_of(ground, [[0, 1], [1, 2]]) == [
        Client("t0", ["r1"]),
        Client("t1", ["r1", "r2"]),
        Client("t2", ["r2"]),
    ]


def test_shapes_are_those_that_the_report_speaks_of() -> None:
    shapes = Sizes().shapes
    assert [(len(shapes[name].circles()), shapes[name].members) for name in ("rooms", "hall", "pairs")] == [
        (10, 10),
        (1, 1_000),
        (200, 2),
    ]
    assert [list(circle) for circle in shapes["pairs"].circles()[:2]] == [[0, 1], [2, 3]]


def test_rates_of_comparison() -> None:
    """Processor time is compared where Node is well, among those that hold that rate."""
    found = {"chat": talk(4_000, 10, 1, 1), "node": talk(1_000, 10, 1, 1), "stock": talk(400, 10, 1, 1)}
    assert half_rate(found) == 500
    assert [compared_rate(found, name) for name in found] == [500, 500, 0]
    del found["node"]
    assert half_rate(found) == 0
    assert [compared_rate(found, name) for name in found] == [200, 200]


def test_percentiles_by_nearest_rank() -> None:
    latency = latency_of([number / 1000 for number in range(1, 201)])
    assert (latency.p50, latency.p90, latency.p99, latency.max) == (100, 180, 198, 200)
    assert latency_of([]).p50 is None


def test_the_machine_describes_itself() -> None:
    assert processor("processor : 0\nmodel name\t: Fast 9000 @ 3 GHz\n") == "Fast 9000 @ 3 GHz"
    assert memory("MemTotal:        8388608 kB\nMemFree: 1 kB\n") == "8.0 GiB"
