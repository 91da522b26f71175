"""The process that holds all proxies; told what to do by JSON lines on its standard input.

A process of its own, so that the load generator's work does not slow the network down.
"""

import asyncio
import json
import random
import sys
from typing import Any

import uvloop

from chat_faults.network.proxy import Link, Toxics


class ProxyServer:
    """The links by name, and the commands that change them."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._links: dict[str, Link] = {}

    async def do(self, command: dict[str, Any]) -> Any:
        """Carry out one command and return its answer."""
        name, arguments = command["link"], command.get("arguments", {})
        match command["do"]:
            case "open":
                link = Link(arguments["target"], random.Random(f"{self._seed}-{name}"))
                await link.open()
                self._links[name] = link
                return link.port
            case "aim":
                self._links[name].target = arguments["target"]
            case "set":
                only = arguments.pop("only", "").encode()
                self._links[name].set(Toxics(**arguments, only=only))
            case "cut":
                return self._links[name].cut(arguments["share"], half_open=arguments["half_open"])
            case "down":
                self._links[name].close()
            case "up":
                await self._links[name].open()
            case "dropped":
                link = self._links[name]
                droppers = [each.down.dropper for each in link.connections]
                return link.dropped + sum(dropper.dropped for dropper in droppers if dropper)
            case unknown:
                raise ValueError(f"no such command: {unknown}")
        return None


async def serve(seed: str) -> None:
    """Obey until standard input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    server = ProxyServer(seed)
    while line := await reader.readline():
        command = json.loads(line)
        try:
            answer = {"id": command["id"], "value": await server.do(command)}
        except Exception as error:
            answer = {"id": command["id"], "error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
