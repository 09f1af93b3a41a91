"""The pictures that an editor may choose among for a story, and what is to be asked for where it is another."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlmodel import Session

from digest.curate.pictures import MAX_LINK, candidates
from digest.dataclass import dataclass
from digest.edition.editor import find
from digest.errors import BadInput, NotFound
from digest.store import Database, pictures
from digest.store.story_tables import Story
from digest.values import Pictured


@dataclass(frozen=True)
class Choice:
    """A picture that a story may have: where it was found, what is known of it, and our copy of it if there is one."""

    url: str
    words: str
    shown: bool = False  # it is the one that the story has, by an editor's word or by itself
    thumb: str = ""


def choices(session: Session, story: Story) -> tuple[Choice, ...]:
    """What its entry offers, and what an editor chose besides. Nobody is asked for any of it."""
    assert story.id is not None
    one = pictures.candidate(session, story.id)
    if one is None:
        return ()
    mine, found = pictures.chosen_found(story.reasons), pictures.found_of(session, story.entry_id)
    fate = pictures.fate(session, story.entry_id)
    why = {url: words for url, words in (fate.tried if fate else ()) if url and words}
    offered = candidates(one.image_url, one.enclosures, (one.content, one.summary), one.page_image)
    urls = dict.fromkeys([*offered, *why, *(have.url for have in (mine, found) if have)])
    bare = bool(story.reasons.get("bare"))
    told = []
    for url in urls:
        have = next((have for have in (mine, found) if have and have.url == url), None)
        if have is None:
            told.append(Choice(url, why.get(url) or "not asked for yet"))
            continue
        shown = not bare and have is (mine or found) and not (have is found and fate is not None and fate.repeated)
        same = "; others of its feed have the same" if have is found and fate is not None and fate.repeated else ""
        told.append(Choice(url, f"{have.width} × {have.height}{same}", shown, have.thumb))
    return tuple(told)


def asked_for(session: Session, name: str, story_id: int, url: str) -> Pictured:
    """What is to be asked for where an editor wants the picture at `url`; BadInput where that can be no picture."""
    url = url.strip()
    _check(url)
    one = pictures.candidate(session, find(session, name, story_id).id or 0)
    if one is None:
        raise NotFound(
            f"the entry of story {story_id} is pruned", hint="its pictures are as they were when it was sent"
        )
    return Pictured(one.entry_id, one.feed_id, (url,), one.feed_url, one.headers, one.proxy, one.ca_file)


def _check(url: str) -> None:
    hint = "an address such as https://example.org/picture.jpg, none, or auto"
    try:
        parts = urlsplit(url)
        host, login = parts.hostname, parts.username or parts.password
    except ValueError:
        host, login = None, None
    if not host or parts.scheme not in ("http", "https") or any(sign <= " " for sign in url):
        raise BadInput(f"{url[:200]!r} is no address of a picture", hint=hint)
    if login:
        raise BadInput("an address with a login in it is not kept with a story", hint="one that needs none")
    if len(url) > MAX_LINK:
        raise BadInput(f"that address has {len(url):,} characters", hint=f"at most {MAX_LINK:,}")


def thumbs(database: Database, names: Sequence[str]) -> dict[str, bytes]:
    """Our copies by their names, as far as they are there, for the editor's page."""
    with database.read() as session:
        return pictures.data(session, [name for name in dict.fromkeys(names) if name])
