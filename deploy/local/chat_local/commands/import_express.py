"""`chat import`: brings the Express original's database into an installation that this machine reaches."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def import_from_express(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            envvar="CHAT_IMPORT_FROM",
            help="The original's database: mongodb://HOST/NAME, only read; - reads it from standard input.",
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; say what would become of everything.")
    ] = False,
    state_dir: Annotated[
        Path,
        typer.Option(help="State folder of the local stack that is meant; settings in the environment win."),
    ] = Path(".chat"),
) -> None:
    """Bring accounts, rooms and messages of the Express original. Broken off or repeated, it goes on.

    Ends with 0 when everything is here, with 1 when something was left out or a database is away.

    \b
    Example:
      chat import --from mongodb://localhost:27017/chat --dry-run
    """
    # Not above: it brings the code of three services along, which no other command should wait for.
    from chat_local.express.running import WrongUse, run

    try:
        # Arguments are seen by everybody on the machine, and the URL may hold a password.
        url = sys.stdin.readline().strip() if source == "-" else source
        is_complete = run(url, state_dir, dry_run=dry_run)
    except WrongUse as error:
        raise typer.BadParameter(str(error), param_hint=error.where) from None
    raise typer.Exit(0 if is_complete else 1)
