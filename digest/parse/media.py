"""What an entry says of its pictures and films (Media RSS) is not what it says itself.

feedparser takes the description in a `media:content` for the entry's own: the alternative text of a picture, as
Mastodon writes it, then stands where the post should. One beside it (in a `media:group`, as YouTube writes) is the
entry's.
"""

from __future__ import annotations

from typing import Any

from feedparser.namespaces import mediarss

_NAMES = ("title", "description")


def keep_apart() -> None:
    """Let feedparser put what stands in a `media:content` under "media_title" and "media_description"."""
    space: Any = mediarss.Namespace
    if space._start_media_content is _start_content:
        return
    for name in _NAMES:
        before = [getattr(space, f"_{edge}_media_{name}") for edge in ("start", "end")]
        setattr(space, f"_start_media_{name}", _starting(name, before[0]))
        setattr(space, f"_end_media_{name}", _ending(name, before[1]))
    space._start_media_content, space._end_media_content = _start_content, _end_content


def _start_content(self: Any, attributes: Any, *, really: Any = mediarss.Namespace._start_media_content) -> None:
    really(self, attributes)
    self.digest_medium = self._get_context()  # of this entry: one that is never closed ends with it


def _end_content(self: Any) -> None:
    self.digest_medium = None


def _inside(self: Any) -> bool:
    medium = getattr(self, "digest_medium", None)
    return medium is not None and medium is self._get_context()


def _starting(name: str, really: Any) -> Any:
    def start(self: Any, attributes: Any) -> None:
        if _inside(self):
            self.push(f"media_{name}", 0)
        else:
            really(self, attributes)

    return start


def _ending(name: str, really: Any) -> Any:
    def end(self: Any) -> None:
        if not _inside(self):
            really(self)
        elif said := self.pop(f"media_{name}"):
            self._get_context().setdefault(f"media_{name}", said)

    return end
