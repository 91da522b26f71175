"""`chat import`: brings the Express original's database into an installation that this machine reaches."""

from pathlib import Path
from typing import Annotated

import typer


def import_from_express(
    source: Annotated[
        str, typer.Option("--from", help="The original's database: mongodb://HOST/NAME. It is only read.")
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
        is_complete = run(source, state_dir, dry_run=dry_run)
    except WrongUse as error:
        raise typer.BadParameter(str(error), param_hint=error.where) from None
    raise typer.Exit(0 if is_complete else 1)
