"""The rules of media: plain values and functions, no I/O."""
