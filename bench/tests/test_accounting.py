"""Processor time and memory as the kernel tells them."""

import os
import subprocess
import sys
import time

import pytest
from chat_bench.accounting import Meter, cpu_seconds, memory_kib, pss_kib, with_descendants

TICKS = os.sysconf("SC_CLK_TCK")
STAT = "42 (a ) strange (name) S 7 42 42 0 -1 4194304 100 200 0 0 {user} {system} 9 9 20 0 1 0 12345 1 1"


def test_user_and_system_time_count_whatever_the_program_is_called() -> None:
    assert cpu_seconds(STAT.format(user=3 * TICKS, system=TICKS // 2)) == 3.5


def test_memory_is_the_proportional_share() -> None:
    text = "5500-7ffc r--p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:  4321 kB\nPss_Anon: 7 kB\n"
    assert pss_kib(text) == 4321
    with pytest.raises(ValueError, match="no Pss"):
        pss_kib("Rss: 1 kB\n")


def test_children_belong_to_their_parents() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 21: 20}
    assert with_descendants([10], parents) == {10, 11, 12}
    assert with_descendants([11, 20], parents) == {11, 12, 20, 21}


def test_a_meter_sees_what_a_process_and_its_children_use() -> None:
    work = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    command = [sys.executable, "-c", f"import os, sys\nif os.fork() == 0:\n exec({work!r})\nsys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        reading = Meter(lambda: {"busy": [process.pid], "idle": []}).start()
        deadline = time.monotonic() + 20
        while reading.usage().seconds["busy"] < 0.25 and time.monotonic() < deadline:
            time.sleep(0.05)
        usage = reading.usage()
        memory = memory_kib(lambda: {"busy": [process.pid]}, ["busy"])
        process.kill()
    assert 0.25 <= usage.seconds["busy"] < 1
    assert usage.seconds["idle"] == 0
    assert usage.total == usage.seconds["busy"]
    assert 1_000 < memory["busy"] < 100_000
