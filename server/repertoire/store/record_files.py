"""RecordFiles: long results of runs and calls, as files that are named by their sha256; used by the facts within their transactions.

1. A text of more than `INLINE_BYTES` becomes a file, and the row has its hash, as a blob, in the place of the text. Readers put the text back.
2. The file is whole and on the disk before its row is committed. If the server dies in between, the file has no row, and is deleted later.
3. All of this happens on the writer's thread. So between the look for a row and the deletion of a file, no fact can take that file over.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from functools import cached_property
from typing import Final

from ..errors import DamagedArtifact, DamagedStore, RecordNotStored, StorageError
from .content_files import ContentFiles

INLINE_BYTES: Final = 256 * 1024
"""A row of SQLite with a longer text makes its log and its file larger for ever, and a list of runs slower."""
_NEEDED: Final = (
    "EXISTS (SELECT 1 FROM call WHERE typeof(result) = 'blob' AND result = record_file.hash) "
    "OR EXISTS (SELECT 1 FROM run WHERE typeof(result) = 'blob' AND result = record_file.hash)"
)


class RecordFiles:
    """`folder` is HOME/records. It is made for the first long text."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @cached_property
    def _files(self) -> ContentFiles:
        return ContentFiles(self._folder)

    def keep(self, db: sqlite3.Connection, text: str | None) -> str | bytes | None:
        """The value for the row: the text, or the hash of the file that has it now. Raises RecordNotStored."""
        if text is None or 4 * len(text) <= INLINE_BYTES:
            return text
        data = text.encode("utf-8", "surrogatepass")
        if len(data) <= INLINE_BYTES:
            return text
        digest = hashlib.sha256(data)
        if not os.path.exists(self._files.path(digest.hexdigest())):
            try:
                self._files.keep(self._files.stage(data, len(data)))
            except (StorageError, OSError) as error:
                said = error.message if isinstance(error, StorageError) else str(error)
                raise RecordNotStored(
                    f"A value of {len(data):,} bytes cannot be stored: {said.rpartition(': ')[2].rstrip('.')}.",
                    "Make room on the disk of the home. What was stored before is kept: `repertoire rerun RUN` goes on from there.",
                ) from error
        db.execute("INSERT OR IGNORE INTO record_file VALUES (?, ?)", (digest.digest(), len(data)))
        return digest.digest()

    def whole(self, value: str | bytes | None) -> str | None:
        """The text of a row's value. Raises DamagedStore when its file is gone or has other bytes."""
        if not isinstance(value, bytes):
            return value
        try:
            return self._files.read(value.hex()).decode("utf-8", "surrogatepass")
        except DamagedArtifact as error:
            path = self._files.path(value.hex())
            raise DamagedStore(
                f"The result's file {path} cannot be read: it is gone or was changed.",
                "Put a copy of the folder `records` of the home in its place.",
            ) from error

    def drop_unused(self, db: sqlite3.Connection, at_most: int) -> int:
        """Delete files that no run and no call has any more. Returns their number."""
        found = db.execute(f"SELECT hash FROM record_file WHERE NOT ({_NEEDED}) LIMIT ?", (at_most,)).fetchall()
        db.executemany("DELETE FROM record_file WHERE hash = ?", found)
        self._files.delete(hash.hex() for (hash,) in found)
        return len(found)

    def drop_strays(self, db: sqlite3.Connection) -> int:
        """Delete files without a row: their server was killed before it could write the row."""
        if not os.path.isdir(self._folder):
            return 0
        return self._files.delete_strays({hash.hex() for (hash,) in db.execute("SELECT hash FROM record_file")})
