"""Media: containers that files of the class style give to agents: `Image`, `Audio`, `Video`, `File`, `Message`. Used by workflow files."""

from __future__ import annotations

from typing import Any


class Media:
    """Keeps its fields, by keyword: url, filepath, content, id, mime_type. A field that was not given is None."""

    def __init__(self, content: Any = None, **fields: Any) -> None:
        self.content = content
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("session_id", "run", "run_id", "event", "model_dump"):
            raise AttributeError(name)
        return None

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}'[:80] for name, value in self.to_dict().items())})"


class Image(Media):
    pass


class Audio(Media):
    pass


class Video(Media):
    pass


class File(Media):
    pass


ImageArtifact = Image
AudioArtifact = Audio
AudioResponse = Audio
VideoArtifact = Video


class Message(Media):
    """One message of a conversation: role and content."""

    def __init__(self, role: str = "user", content: Any = None, **fields: Any) -> None:
        super().__init__(content, role=role, **fields)
