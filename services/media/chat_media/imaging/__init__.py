"""Images of strangers: recognised, bounded and encoded anew, in processes of their own.

Import nothing here: the worker processes load this package and should stay small.
"""
