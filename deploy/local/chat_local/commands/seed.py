"""`chat seed`: two people, their rooms and what they said, to try things out with."""

import sys

import typer

from chat_local.client.api import Api
from chat_local.client.demo import Demo, load_demo
from chat_local.client.demo_ground import require_demo_ground
from chat_local.client.seeding import Seeded, Seeder
from chat_local.client.where import STATE_DIR, StateOption, UrlOption, installation_url
from chat_local.commands.running import run
from chat_local.console import say
from chat_local.environment import environment


def seed(url: UrlOption = "", state_dir: StateOption = STATE_DIR) -> None:
    """Put two demo users, their rooms and messages there.

    A second run adds nothing. Only for development: refused where CHAT_ENVIRONMENT is production, where the
    URL is not of this machine or other machines reach it, too, and where the installation says that it is a
    production one.

    \b
    Example:
      chat seed
      chat say lobby --as alice
    """
    demo = load_demo()
    target = installation_url(url, state_dir)
    seeded = run(_seed(target, demo))
    names = [user.username for user in demo.users.values()]
    total = sum(len(room.messages) for room in demo.rooms)
    say(
        f"{target} has {' and '.join(names)}, {len(demo.rooms)} rooms and {total} messages; "
        f"new of them: {seeded.users} users, {seeded.rooms} rooms, {seeded.messages} messages."
    )
    say(f'Their password: "{demo.password}". Try: chat say {demo.rooms[0].name} --as {names[0]}')


async def _seed(url: str, demo: Demo) -> Seeded:
    total = sum(len(room.messages) for room in demo.rooms)
    async with Api(url) as api:
        await require_demo_ground(api, environment())
        with typer.progressbar(length=total, label="Messages", hidden=not sys.stdout.isatty()) as bar:
            return await Seeder(api, demo, lambda: bar.update(1)).run()
