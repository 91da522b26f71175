"""Every fault, in modules by what breaks. Importing this package fills `fault.CATALOGUE`."""

from chat_faults.catalogue import clients, gateways, machine, messaging, mongodb, rabbitmq, rate, redis
from chat_faults.fault import CATALOGUE

__all__ = ["CATALOGUE", "clients", "gateways", "machine", "messaging", "mongodb", "rabbitmq", "rate", "redis"]
