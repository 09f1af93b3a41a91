"""Languages of stories in a newsletter of certain languages: which stay out, which stand apart, which may lead."""

from __future__ import annotations

from dataclasses import replace

from digest.config import Newsletter
from digest.curate.rank import Selection
from digest.taste import spoken
from digest.values import Story

APART = "other-languages"  # where stories in other languages stand in a mail


def _foreign(language: str, settings: Newsletter) -> str:
    """The language where it is none of the newsletter's, else "", as where nobody knows it or all are welcome."""
    if not settings.languages:
        return ""
    found = spoken(language)
    return "" if found in map(spoken, settings.languages) else found


def kept_out(language: str, settings: Newsletter) -> str:
    """Why what is in this language is not taken; "" where it is."""
    if settings.other_languages != "out" or not (found := _foreign(language, settings)):
        return ""
    return f"it is in {found}, and the newsletter's languages are {', '.join(settings.languages)}"


def stands_apart(story: Story, settings: Newsletter) -> bool:
    """Whether a story stands under the heading of other languages."""
    return settings.other_languages == "apart" and bool(_foreign(story.language, settings))


def led(selection: Selection, settings: Newsletter) -> Selection:
    """The same, led by the best story in the newsletter's own language, since the subject says what leads.

    A pin leads whatever it is in. Without one in that language the best of `languages` leads, and else the best.
    """
    if not selection.stories or selection.stories[0].pinned:
        return selection
    if not (settings.languages or "language" in settings.model_fields_set):
        return selection  # nobody said which it is
    for wanted in ((settings.language,), settings.languages):
        own = {"", *map(spoken, wanted)}
        for story in selection.stories:
            if spoken(story.language) in own:
                rest = tuple(other for other in selection.stories if other is not story)
                return replace(selection, stories=(story, *rest))
    return selection


def told(language: str, settings: Newsletter) -> str:
    """What becomes of a story for its language, in words."""
    found = spoken(language)
    if why := kept_out(language, settings):
        return f"left out: {why}"
    if _foreign(language, settings):
        return f"{found}, none of {', '.join(settings.languages)}: under the heading of other languages"
    own = found in ("", spoken(settings.language))
    return (found or "not known") + ("" if own else f": leads only where no story in {settings.language} does")
