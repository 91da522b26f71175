"""`chat user`: accounts of an installation, for who runs it.

It asks auth directly, with the service token: none of this can be reached from outside.
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from chat_shared.contracts.base import format_timestamp
from chat_shared.contracts.internal import AccountDetails, AccountItem, AccountPage, SessionsEnded

from chat_local.client.api import Api
from chat_local.client.passwords import read_password
from chat_local.client.where import STATE_DIR, StateOption, auth_api
from chat_local.commands.running import note, run
from chat_local.console import say
from chat_local.environment import environment
from chat_local.terminal import print_table, printable

ResultT = TypeVar("ResultT")

ACCOUNTS = "/internal/v1/accounts"

app = typer.Typer(
    no_args_is_help=True,
    help="Accounts: create, show, list, sign out, give a password, delete. Asks auth at CHAT_AUTH_URLS with "
    "CHAT_SERVICE_TOKEN, or that of the local stack.",
)

NameArgument = Annotated[str, typer.Argument(help="Username, email address or id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    username: Annotated[str, typer.Argument(help="3 to 30 of A-Z a-z 0-9 _ . -")],
    email: Annotated[str, typer.Option(help="Email address.")],
    firstname: Annotated[str, typer.Option(help="First name.")] = "",
    lastname: Annotated[str, typer.Option(help="Last name.")] = "",
    state_dir: StateOption = STATE_DIR,
) -> None:
    """Make an account; the password is asked for twice, or is the first line of standard input.

    \b
    Example:
      chat user create carol --email carol@example.org
    """
    fields = {"username": username, "email": email, "firstname": firstname, "lastname": lastname}

    async def make(auth: Api) -> str:
        password = read_password(f"Password of {username}", confirm=True)
        answer = await auth.call("POST", ACCOUNTS, body={**fields, "password": password})
        return answer.read_as(AccountItem).id

    say(f"Made {username}: {_ask(state_dir, make)}")


@app.command()
def show(name: NameArgument, as_json: JsonOption = False, state_dir: StateOption = STATE_DIR) -> None:
    """Show an account: its profile, how many sessions it has, whether it is online.

    \b
    Example:
      chat user show alice
    """
    account = _ask(state_dir, lambda auth: _find(auth, name))
    if as_json:
        say(account.model_dump_json(by_alias=True))
        return
    for label, value in _facts(account):
        say(f"{label:<10}{printable(value)}")


@app.command("list")
def list_accounts(
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many, oldest first.")] = 50,
    after: Annotated[str, typer.Option(help="Only those made after this id.")] = "",
    as_json: JsonOption = False,
    state_dir: StateOption = STATE_DIR,
) -> None:
    """List accounts in the order in which they were made.

    \b
    Example:
      chat user list --limit 100
    """
    query = {"limit": str(limit), **({"after": after} if after else {})}

    async def ask(auth: Api) -> AccountPage:
        return (await auth.call("GET", ACCOUNTS, query=query)).read_as(AccountPage)

    page = _ask(state_dir, ask)
    if as_json:
        say(json.dumps([account.model_dump(mode="json", by_alias=True) for account in page.accounts]))
    else:
        print_table(("id", "username", "email", "online", "created"), [_row(each) for each in page.accounts])
    if page.next:
        note(f"There may be more: chat user list --after {page.next}")


@app.command("sign-out")
def sign_out(name: NameArgument, state_dir: StateOption = STATE_DIR) -> None:
    """End all sessions of an account; its sockets close within a second.

    \b
    Example:
      chat user sign-out alice
    """

    async def end(auth: Api) -> tuple[AccountDetails, int]:
        account = await _find(auth, name)
        answer = await auth.call("POST", f"{ACCOUNTS}/{account.id}/sign-out")
        return account, answer.read_as(SessionsEnded).ended

    account, ended = _ask(state_dir, end)
    say(f"Ended {ended} sessions of {_whom(account)}")


@app.command()
def password(name: NameArgument, state_dir: StateOption = STATE_DIR) -> None:
    """Give an account a new password, asked for twice or from standard input; ends all its sessions.

    \b
    Example:
      chat user password alice
    """

    async def give(auth: Api) -> tuple[AccountDetails, int]:
        account = await _find(auth, name)
        body = {"newPassword": read_password(f"New password of {_whom(account)}", confirm=True)}
        answer = await auth.call("PUT", f"{ACCOUNTS}/{account.id}/password", body=body)
        return account, answer.read_as(SessionsEnded).ended

    account, ended = _ask(state_dir, give)
    say(f"{_whom(account)} has a new password; ended {ended} sessions")


@app.command()
def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    state_dir: StateOption = STATE_DIR,
) -> None:
    """Delete an account for good, as its owner could; what it said stays in the rooms.

    \b
    Example:
      chat user delete alice
    """
    account = _ask(state_dir, lambda auth: _find(auth, name))
    if not yes:
        typer.confirm(f"Delete {_whom(account)} for good?", abort=True)
    _ask(state_dir, lambda auth: auth.call("DELETE", f"{ACCOUNTS}/{account.id}"))
    say(f"Deleted {_whom(account)}")


def _ask(state_dir: Path, work: Callable[[Api], Awaitable[ResultT]]) -> ResultT:
    async def connected() -> ResultT:
        async with auth_api(environment(), state_dir) as auth:
            return await work(auth)

    return run(connected())


async def _find(auth: Api, name: str) -> AccountDetails:
    answer = await auth.call("GET", f"{ACCOUNTS}/find", query={"name": name})
    return answer.read_as(AccountDetails)


def _whom(account: AccountDetails) -> str:
    """Return what tells the account from all others, whatever its username looks like."""
    return f"{printable(account.username)} ({account.id}, {printable(account.email)})"


def _facts(account: AccountDetails) -> list[tuple[str, str]]:
    return [
        ("id", account.id),
        ("username", account.username),
        ("email", account.email),
        ("name", f"{account.firstname} {account.lastname}".strip() or "-"),
        ("online", "yes" if account.is_online else "no"),
        ("sessions", str(account.session_count)),
        ("created", format_timestamp(account.created_at)),
        ("last seen", format_timestamp(account.last_seen) if account.last_seen else "-"),
    ]


def _row(account: AccountItem) -> tuple[object, ...]:
    online = "yes" if account.is_online else "no"
    return (
        account.id,
        printable(account.username),
        printable(account.email),
        online,
        format_timestamp(account.created_at),
    )
