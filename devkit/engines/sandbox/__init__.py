"""The supervisor of one plain container: a small program of its own, on the standard library alone.

The process engine runs it as ``python -I -S`` with the folder above this package on ``sys.path``,
so that it starts in milliseconds and shares nothing with devkit but :mod:`.plan`. That is why the
modules here import each other relatively and nothing else of devkit.
"""
