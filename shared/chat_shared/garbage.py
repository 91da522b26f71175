"""Garbage collection that a chat does not notice.

A full collection looks at every object of the process, and what was imported (FastAPI, pydantic, a driver or
two) is most of them: 90 ms and more, every two seconds under load, during which nobody's message moves.
"""

import gc

NEW_OBJECTS = 10_000
"""How many more objects than were freed are made before the young ones are looked at; Python's own 700 is
less than one batch of messages makes."""


def spare_what_stays() -> None:
    """Leave everything that exists by now out of all later collections; call it when a service is wired.

    See `gc.freeze`: what is garbage already goes first, as it could not be found any more afterwards.
    """
    gc.collect()
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS, *older)
