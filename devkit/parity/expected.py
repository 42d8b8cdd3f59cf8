"""What is different in each kind of place, and why: data.

A rule says what is seen in places of its kinds that is not as elsewhere.
"""

from __future__ import annotations

from devkit.parity.comparing import Expected

EXPECTED: tuple[Expected, ...] = ()
