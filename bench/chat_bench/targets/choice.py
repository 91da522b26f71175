"""The targets by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chat_local.stack import Stack

from chat_bench.targets.accounts import Accounts
from chat_bench.targets.chat import ChatTarget
from chat_bench.targets.peer import PeerTarget
from chat_bench.targets.target import Target

CHAT, NODE, STOCK, NODE_NONDURABLE = "chat", "node", "stock", "node-nondurable"
NAMES = (CHAT, NODE, STOCK, NODE_NONDURABLE)


@dataclass(frozen=True)
class Processes:
    """How many there are, and how they are reached."""

    gateways: int = 1
    """Of our gateway, and of each peer."""
    messaging: int = 1
    through_traefik: bool = False


def make_targets(
    names: Sequence[str], folder: Path, backing: Stack, accounts: Accounts, processes: Processes
) -> list[Target]:
    """Return targets, not started, in the order of the names.

    Args:
        folder: the same for all targets of a run: what ours stored is locked with secrets in it.
        accounts: the users of our services.
    """
    count = processes.gateways
    makers: Mapping[str, Callable[[], Target]] = {
        CHAT: lambda: ChatTarget(
            folder,
            backing,
            accounts,
            gateways=count,
            messaging=processes.messaging,
            through_traefik=processes.through_traefik,
        ),
        NODE: lambda: PeerTarget(NODE, "node", folder, backing, processes=count),
        STOCK: lambda: PeerTarget(STOCK, "stock", folder, backing, processes=count),
        NODE_NONDURABLE: lambda: PeerTarget(
            NODE_NONDURABLE, "node", folder, backing, processes=count, durable=False
        ),
    }
    return [makers[name]() for name in names]
