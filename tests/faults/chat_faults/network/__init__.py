"""Every connection between processes goes through a proxy of ours, so that the network can be broken."""

from chat_faults.network.links import Links

__all__ = ["Links"]
