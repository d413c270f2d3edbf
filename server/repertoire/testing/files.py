"""Files: reads a workflow file and the modules beside it as a server reads them, without a server; used by `Stage`."""

from __future__ import annotations

from pathlib import Path

from ..limits import Limits
from ..model.workflow_version import name_of_file
from ..registry.bundle import Bundle
from ..registry.source import analyse, read_source
from ..wire import Code


def read_code(path: Path, name: str | None) -> Code:
    """The code of the file, or of the class of this name in it. Raises Refused where a server would not take the file."""
    limits, folder = Limits(), str(path.parent)
    source = read_source(str(path), limits.max_source_bytes)
    analysis = analyse(source, max_bytes=limits.max_source_bytes)
    bundle = Bundle(folder, limits.max_bundle_bytes, folder)
    bundle.gather(analysis.uses)
    known = {one.name: one.entry for one in analysis.classes}
    chosen = name or next(iter(known), name_of_file(path.name))
    entry = known.get(chosen)
    if known and entry is None:
        raise LookupError(f"{path.name} has no workflow {chosen!r}; it has {', '.join(known)}")
    return Code(str(path), chosen, source, str(path), tuple(bundle.modules), entry, bundle.data, bundle.package)
