"""Tables: all attacks, in the order in which they are tried."""

from __future__ import annotations

from typing import Final

from .attack import Attack, Table
from .doors import DOORS
from .escapes import ESCAPES
from .files import FILES
from .floods import FLOODS
from .frames import FRAMES
from .kernel import KERNEL
from .memory import MEMORY
from .network import NETWORK
from .processes import PROCESSES
from .results import RESULTS
from .schemas import SCHEMAS
from .survivors import SURVIVORS
from .texts import TEXTS

TABLES: Final[tuple[Table, ...]] = (
    FILES, PROCESSES, NETWORK, KERNEL, ESCAPES, MEMORY, FLOODS, FRAMES, RESULTS, TEXTS, SCHEMAS, DOORS, SURVIVORS,
)  # fmt: skip
ATTACKS: Final[tuple[Attack, ...]] = tuple(attack for table in TABLES for attack in table.attacks)
