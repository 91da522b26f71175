"""What can keep a part of the benchmark from being measured.

BenchError
├── NativeMissing      the load generator or the floor cannot be built
├── GeneratorFailed    the load generator ended or answered with an error
└── NotReached         a target did not let everybody in
"""


class BenchError(Exception):
    """Base of every failure that the report explains in a sentence."""


class NativeMissing(BenchError):
    """The load generator or the floor cannot be built."""


class GeneratorFailed(BenchError):
    """The load generator ended or answered with an error."""


class NotReached(BenchError):
    """A target did not let everybody in."""
