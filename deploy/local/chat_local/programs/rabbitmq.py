"""RabbitMQ and the Erlang port mapper it needs, on loopback, as any user, beside any other broker."""

import os
import re
import shutil
from functools import partial
from pathlib import Path

from chat_local import debian
from chat_local.errors import ProgramMissing
from chat_local.probes import amqp_answers, tcp_answers
from chat_local.process import ProcessSpec
from chat_local.programs.finding import Program, on_path, parse

NAME = "rabbitmq"
EPMD_NAME = "epmd"
URL_SETTING = "CHAT_AMQP_URL"

_MINIMUM = (3, 10)
_FOLDER = "rabbitmq"
_ERLANG = (
    *("base", "crypto", "eldap", "inets", "mnesia", "os-mon", "parsetools", "public-key"),
    *("runtime-tools", "ssl", "syntax-tools", "tools", "xmerl", "asn1"),
)
_PACKAGES = ["rabbitmq-server", *(f"erlang-{part}" for part in _ERLANG)]
MEND = (
    "sudo apt-get install rabbitmq-server, or start one elsewhere (docker run -d -p 5672:5672 rabbitmq:4) "
    f"and set {URL_SETTING}=amqp://guest:guest@localhost:5672/"
)

_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
log.console = true
log.console.level = info
log.console.formatter = json
log.file = false
# Much smaller than usual: this log is preallocated, and kept in memory too.
raft.wal_max_size_bytes = 67108864
"""


def find() -> Program:
    """Return the RabbitMQ to use; fetches and unpacks Debian's at first use.

    Raises:
        ProgramMissing: there is none, and it cannot be had from Debian.
        AptFailed: Debian's packages cannot be fetched.
    """
    program = look()
    if program is not None:
        return program
    if not debian.is_available():
        raise ProgramMissing("RabbitMQ", "not on PATH, and there is no apt-get to fetch it with", MEND)
    folder = debian.unpack(_FOLDER, lambda _apt: _PACKAGES, _adapt)
    return _unpacked(folder)


def look() -> Program | None:
    """Return the RabbitMQ that is already there, installed or unpacked; fetch nothing."""
    program = _installed()
    if program is not None:
        return program
    folder = debian.cache_folder() / _FOLDER
    return _unpacked(folder) if folder.exists() else None


def _installed() -> Program | None:
    script = on_path(["rabbitmq-server"])
    if script is None or on_path(["erl"]) is None:
        return None
    # Debian's command insists on its own user and folders; the script below it does not.
    below = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    path = (below if below.exists() else script).resolve()
    version = _version(path)
    return Program("RabbitMQ", path, version, "on PATH") if parse(version) >= _MINIMUM else None


def _unpacked(folder: Path) -> Program:
    path = (folder / "usr/lib/rabbitmq/bin/rabbitmq-server").resolve()
    env = {"PATH": f"{folder}/usr/lib/erlang/bin:{os.environ.get('PATH', os.defpath)}"}
    return Program("RabbitMQ", path, _version(path), "Debian packages", env)


def _version(server_script: Path) -> str:
    """Return the version from the path: asking the program costs a second."""
    found = re.search(r"rabbitmq_server-([\d.]+)", str(server_script))
    return found.group(1) if found else "unknown"


def _adapt(root: Path, target: Path) -> None:
    """Make the unpacked packages run from where they will be, and start fast."""
    for script in root.glob("usr/lib/erlang/**/bin/erl"):  # the one file that knows where Erlang lives
        text = script.read_text()
        script.write_text(text.replace("ROOTDIR=/usr/lib/erlang", f"ROOTDIR={target}/usr/lib/erlang"))
    # Erlang looks for each module in each plugin's folder: without those unused it starts in half the time.
    for plugin in root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins/rabbitmq_*"):
        if not plugin.name.startswith("rabbitmq_prelaunch"):
            shutil.rmtree(plugin)


def url(port: int) -> str:
    """Return the URL that clients use."""
    return f"amqp://guest:guest@127.0.0.1:{port}/"


def epmd_spec(program: Program, port: int) -> ProcessSpec:
    """Return how to run the port mapper in the foreground.

    Left to itself, Erlang starts one in the background that outlives the broker.
    """
    path = on_path(["epmd"]) if not program.env else None
    command = str(path or Path(program.env["PATH"].split(":")[0]) / "epmd")
    ready = partial(tcp_answers, "127.0.0.1", port)
    return ProcessSpec(EPMD_NAME, [command], {**os.environ, **_epmd_env(port)}, ready)


def _epmd_env(port: int) -> dict[str, str]:
    return {"ERL_EPMD_PORT": str(port), "ERL_EPMD_ADDRESS": "127.0.0.1"}


def spec(program: Program, port: int, dist_port: int, epmd_port: int, data: Path) -> ProcessSpec:
    """Return how to run the broker: few threads, no plugins, everything under `data`."""
    (data / "home").mkdir(exist_ok=True)
    (data / "rabbitmq.conf").write_text(_CONFIG.format(port=port))
    (data / "enabled_plugins").write_text("[].\n")
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")},
        **program.env,
        **_epmd_env(epmd_port),
        "HOME": str(data / "home"),
        "RABBITMQ_HOME": str(program.path.parent.parent),
        "RABBITMQ_NODENAME": "chat@localhost",
        "RABBITMQ_DIST_PORT": str(dist_port),
        "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
        "RABBITMQ_LOG_BASE": str(data / "log"),
        "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        # Nothing of a system-wide installation is read: these name files that do not exist.
        "RABBITMQ_CONF_ENV_FILE": str(data / "none.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(data / "none.config"),
        "RABBITMQ_CONFIG_FILES": str(data / "none.d" / "*.conf"),
        # The server script becomes the broker instead of staying its parent.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_START_ARGS": "-noinput",
        "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "+S 1:1 +SDcpu 1:1 +SDio 8 -kernel inet_dist_use_interface {127,0,0,1}"
        ),
    }
    ready = partial(amqp_answers, "127.0.0.1", port)
    return ProcessSpec(NAME, [str(program.path)], env, ready, start_seconds=90, stop_seconds=20)
