"""Wire types: numbers and lists of a worker's frames with the bounds that decoding checks; used by `wire`.

Lengths are checked before the items are decoded, so a frame that claims a billion items costs nothing.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Number = Annotated[int, Meta(ge=0, lt=2**53)]
Seconds = Annotated[float, Meta(ge=-60_000_000_000, le=250_000_000_000)]
"""No NaN, and as a time a year from 68 to 9892: a body may have a clock of its own."""
Readings = Annotated[
    list[Annotated[list[str | int | float], Meta(min_length=3, max_length=4_000_000)]], Meta(max_length=50_000)
]
"""By call path: [path, value, how often, value, ...]. Lists without items would cost the host most for their bytes."""
