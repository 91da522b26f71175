"""The command line, described in `docs/cli.md`.

What is about this machine stands here; the modules of `commands` work with an installation that runs.
"""

import asyncio
import ipaddress
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from chat_local import dead_letter_commands
from chat_local import doctor as checks
from chat_local.commands import import_express, seed, token, user
from chat_local.commands import say as say_command
from chat_local.console import run_in_foreground, say
from chat_local.environment import environment
from chat_local.services import MODULES
from chat_local.stack import StackOptions

DEFAULT_PORT = 8080

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Runs chat on this machine, and works with an installation that runs.",
    epilog="Exit codes: 0 done, 1 failed or away, 2 wrong usage.",
)

PortOption = Annotated[
    int, typer.Option(envvar="PORT", min=1, max=65535, help="Port of the one URL that clients use.")
]


def _ip_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError as error:
        raise typer.BadParameter(f"{text} is not an IP address") from error


@app.command()
def up(
    port: PortOption = DEFAULT_PORT,
    host: Annotated[
        str,
        typer.Option(callback=_ip_address, help="Address to listen on; this machine only when not given."),
    ] = "",
    gateways: Annotated[int, typer.Option(min=1, max=16, help="Processes of gateway-ws.")] = 1,
    messaging: Annotated[int, typer.Option(min=1, max=16, help="Processes of messaging.")] = 1,
    state_dir: Annotated[Path, typer.Option(help="Folder for data, logs and secrets.")] = Path(".chat"),
    logs: Annotated[bool, typer.Option("--logs", help="Show all logs here, too.")] = False,
) -> None:
    """Start everything and run until Ctrl-C.

    \b
    Example:
      chat up --port 9000 --gateways 2
    """
    environ = environment()
    options = StackOptions(
        state_dir=state_dir,
        port=port,
        host=host,
        gateways=gateways,
        messaging=messaging,
        mongo_url=environ.get("CHAT_MONGO_URL") or environ.get("MONGO_URI", ""),
        redis_url=environ.get("CHAT_REDIS_URL", ""),
        amqp_url=environ.get("CHAT_AMQP_URL", ""),
        environ=environ,
    )
    raise typer.Exit(asyncio.run(run_in_foreground(options, logs)))


@app.command()
def doctor(
    port: PortOption = DEFAULT_PORT,
    state_dir: Annotated[Path, typer.Option(help="Folder for data, logs and secrets.")] = Path(".chat"),
) -> None:
    """Tell what was found, what is missing, and the command that mends it.

    \b
    Example:
      chat doctor --port 9000
    """
    results = checks.examine(environment(), port, state_dir)
    for result in results:
        say(str(result))
    raise typer.Exit(0 if all(result.ok for result in results) else 1)


@app.command()
def config(
    service: Annotated[str, typer.Argument(help="Of one service; of all when not given.")] = "",
    state_dir: Annotated[Path, typer.Option(help="Folder with the secrets.")] = Path(".chat"),
) -> None:
    """Print what the settings come to in this environment; secrets are not shown.

    \b
    Example:
      chat config messaging
    """
    if service and service not in MODULES:
        raise typer.BadParameter(f"{service} is not among {', '.join(MODULES)}")
    defaults = {"CHAT_ENVIRONMENT": "development", "CHAT_SECRETS_DIR": str(state_dir / "secrets")}
    failed = 0
    for name in [service] if service else MODULES:
        say(f"# {name}")
        argv = [sys.executable, "-m", MODULES[name], "config"]
        failed += subprocess.run(argv, env={**defaults, **environment()}, check=False).returncode != 0
    raise typer.Exit(1 if failed else 0)


app.command()(seed.seed)
app.add_typer(user.app, name="user")
app.command()(token.token)
app.command()(say_command.say)
app.add_typer(dead_letter_commands.app, name="dlq")
app.command("import")(import_express.import_from_express)
