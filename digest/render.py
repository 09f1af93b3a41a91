"""Stories in, mail out: subject, HTML and text of one variant. Pure but for reading the templates.

Jinja2 runs sandboxed and escapes what feeds say; premailer writes the styles inline, once per variant.
Personal links stand in the result as the fixed addresses of `Marker`, which `letter` replaces.
"""

from __future__ import annotations

import logging
import re
import textwrap
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from digest.errors import ConfigError
from digest.values import Story

SUBJECT_LENGTH = 90
_PACKAGE = Path(__file__).parent

# LRM, RLM, ALM, embeddings, overrides and isolates: in a subject they can turn the words around them.
_BIDI = dict.fromkeys([0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_RTL = ("ar", "arc", "dv", "fa", "he", "iw", "ks", "ku", "ps", "sd", "ug", "ur", "yi")


class Marker(StrEnum):
    """Addresses that stand for a personal link. `.invalid` can belong to nobody (RFC 2606)."""

    UNSUBSCRIBE = "https://digest.invalid/unsubscribe"


@dataclass(frozen=True)
class Section:
    """One heading and its stories."""

    slug: str
    title: str
    stories: tuple[Story, ...]


@dataclass(frozen=True)
class Page:
    """All that the templates are given, and nothing else."""

    title: str  # of the newsletter
    language: str  # BCP 47
    number: int
    date: datetime  # when the edition was composed
    lead: Story
    sections: tuple[Section, ...]  # without the lead
    more: int  # stories there was no room for
    topics: tuple[str, ...]  # titles of the reader's choice; empty is all
    postal_address: str
    home: str  # base URL of the web pages

    @cached_property
    def stories(self) -> tuple[Story, ...]:
        return (self.lead, *(story for section in self.sections for story in section.stories))

    @cached_property
    def sources(self) -> int:
        """How many different sources tell these stories."""
        return len({s.source for s in self.stories} | {a.title for s in self.stories for a in s.also})

    @cached_property
    def minutes(self) -> int:
        """About how long reading the mail itself takes, at 230 words a minute."""
        words = sum(len(s.title.split()) + len(s.excerpt.split()) for s in self.stories)
        return max(1, round(words / 230))

    @property
    def dir(self) -> str:
        return direction(self.language)

    @property
    def unsubscribe_url(self) -> str:
        return Marker.UNSUBSCRIBE.value

    @cached_property
    def preheader(self) -> str:
        """What the inbox shows after the subject: the next titles, since the lead is in the subject."""
        titles = [s.title for s in self.stories[1:4]] or [self.lead.excerpt or self.lead.title]
        return shorten(" · ".join(titles), 130)


@dataclass(frozen=True)
class Rendered:
    """One variant, before it becomes anybody's letter."""

    subject: str
    html: str
    text: str


class Templates:
    """The mail's templates: the package's, each replaceable by a file of the same name in `folder`."""

    def __init__(self, folder: Path | None = None) -> None:
        package = _PACKAGE / "templates" / "email"  # in a wheel
        if not package.is_dir():
            package = _PACKAGE.parent / "templates" / "email"  # in a checkout
        self.folders = [folder, package] if folder else [package]
        self.environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FileSystemLoader(self.folders),
            autoescape=jinja2.select_autoescape(["html"], default_for_string=False),  # a subject is text
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters.update(ago=ago, day=day, wrap=wrap, dir=direction)

    def render(self, page: Page, *, subject: str) -> Rendered:
        """One variant. ConfigError names template and line where an operator's template is wrong."""
        values = {"page": page}
        try:
            words = self.environment.from_string(subject).render(
                newsletter={"title": page.title}, edition={"number": page.number, "date": page.date}, **_lead(page)
            )
            html = self.environment.get_template("edition.html").render(values)
            text = self.environment.get_template("edition.txt").render(values)
        except jinja2.TemplateNotFound as error:
            raise ConfigError(
                f"there is no template {error.name}", hint="looked in " + ", ".join(map(str, self.folders))
            ) from None
        except jinja2.TemplateSyntaxError as error:
            where = error.filename or error.name or "the subject"
            raise ConfigError(f"{where}, line {error.lineno}: {error.message}", hint=_HINT) from None
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
            raise ConfigError(f"{_place(error)}: {error}", hint=_HINT) from None
        return Rendered(subject_line(words), inline(html), _tidy(text))


_HINT = "nothing was sent; docs/templates.md says what a template is given"


def _lead(page: Page) -> dict[str, Any]:
    return {"lead": {"title": page.lead.title, "source": page.lead.source}}


def _place(error: BaseException) -> str:
    """The template and line an error came out of, from its traceback."""
    place, trace = "a template", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if trace.tb_frame.f_globals.get("__jinja_template__") is not None or file.endswith((".html", ".txt")):
            place = f"{file}, line {trace.tb_lineno}"
        elif file == "<template>":
            place = "the subject"
        trace = trace.tb_next
    return place


def inline(html: str) -> str:
    """Write the rules of `<style>` into `style` attributes, as clients that strip `<style>` need it.

    A `<style data-premailer="ignore">` stays as it is: premailer 3.10 would strip `!important` inside
    `@media`, and dark mode would fail in silence.
    """
    from premailer import Premailer

    return str(
        Premailer(
            html,
            allow_network=False,
            remove_classes=False,
            strip_important=False,
            disable_validation=True,
            cssutils_logging_level=logging.CRITICAL,
        ).transform()
    )


def subject_line(text: str) -> str:
    """One clean line: no control or bidi characters, white space folded, at most 90 characters."""
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text.translate(_BIDI))
    return shorten(text, SUBJECT_LENGTH)


def shorten(text: str, length: int) -> str:
    """At most `length` characters, cut at a word, with "…" where something is missing."""
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    head = cut.rsplit(" ", 1)[0] if " " in cut and not text[length - 1].isspace() else cut
    # A language that writes no spaces, or one very long word: cut where the room ends.
    return (head if len(head) > length // 2 else cut).rstrip(" .,;:–—-") + "…"


def ago(moment: datetime, now: datetime) -> str:
    """How old: "5 h ago", "yesterday", "3 days ago", then the date."""
    seconds = max(0.0, (now - moment).total_seconds())
    hours = seconds / 3600
    if hours < 1:
        return f"{max(1, round(seconds / 60))} min ago"
    if hours < 24:
        return f"{round(hours)} h ago"
    days = round(hours / 24)
    if days == 1:
        return "yesterday"
    if days < 14:
        return f"{days} days ago"
    return f"{moment.day} {moment:%b %Y}"


def day(moment: datetime, language: str) -> str:
    """The date in words, as the reader's language writes it."""
    from babel import Locale, UnknownLocaleError
    from babel.dates import format_date

    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        locale = Locale("en")
    return format_date(moment, format="full", locale=locale)


def direction(language: str) -> str:
    """`rtl` for languages written from right to left, else `ltr`."""
    return "rtl" if language.lower().partition("-")[0] in _RTL else "ltr"


def wrap(text: str, width: int = 72, indent: str = "") -> str:
    """Lines of at most `width` characters for the text part; addresses are never broken."""
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _tidy(text: str) -> str:
    """No trailing blanks, at most one empty line in a row."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines) + "\n"
