"""The templates of the mail, and what becomes of a page in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from digest.errors import ConfigError
from digest.render import apart
from digest.render.inline import inline
from digest.render.marks import Marks
from digest.render.page import Note, Page, Rendered, Section
from digest.render.speech import speech
from digest.render.words import bind, direction, one_line, subject_line, tidy, wrap
from digest.values import Source, Story

HTML_LIMIT = 100_000  # bytes as sent: Gmail clips a little above
_LINK = 200  # at most, what a reader's own address takes the place of a marker
_PACKAGE = Path(__file__).parent.parent
_VALUES = frozenset({Note, Page, Section, Story, Source})
_SIMPLE = re.compile(r"([^{]|\{(?![{%#])|\{\{ *[\w.]+ *\}\})*")  # a subject that cannot take long
_HINT = "nothing was sent; `digest help templates` says what a template is given"


def template_folder() -> Path:
    """Where the package's own templates are: in a wheel inside it, in a checkout beside it."""
    inside = _PACKAGE / "templates" / "email"
    return inside if inside.is_dir() else _PACKAGE.parent / "templates" / "email"


class Templates:
    """The mail's templates: the package's, each replaceable by a file of the same name in `folder`."""

    def __init__(self, folder: Path | None = None, *, at_home: bool = False) -> None:
        """`at_home`: render in this process, also what is not ours, which then may take for ever."""
        self.folder = folder
        self.folders = [folder, template_folder()] if folder else [template_folder()]
        self._at_home = at_home

    def judge(self, subject: str) -> None:
        """ConfigError where a template in `folder`, or the subject, cannot be read as one. Nothing is rendered."""
        if not self._at_home:
            if self.folder or not _SIMPLE.fullmatch(subject):
                apart.ask(self.folder, "judge", subject)  # a compiler works out constants, and 9 ** (9 ** 9) is one
            return
        ours = sorted(path.name for path in template_folder().iterdir())
        for name in [name for name in ours if self.folder and (self.folder / name).is_file()]:
            self._guarded(lambda env, name=name: str(env.get_template(name)), "en")
        self._guarded(lambda env: str(_subject(env, subject)), "en")

    def render(self, page: Page, *, subject: str, best_first: Sequence[int] = ()) -> Rendered:
        """One variant, within `HTML_LIMIT`. ConfigError names template and line where an operator's template is wrong.

        Where it does not fit, the last of `best_first` (story ids; else the order of the page) fall to "more on
        the web" until it does. The lead never falls.
        """
        if not self._at_home and (self.folder or not _SIMPLE.fullmatch(subject)):
            return cast(Rendered, apart.ask(self.folder, "render", page, subject=subject, best_first=best_first))
        drawn = Marks.drawn()
        page = replace(page, marks=drawn)
        order = [id_ for id_ in best_first or [s.id for s in page.stories] if id_ != page.lead.id]
        html = self._html(page)
        fitting, dropped = page, 0
        while (over := size(html, drawn, page.home) - HTML_LIMIT) > 0 and dropped < len(order):
            each = (over + HTML_LIMIT) / (len(order) - dropped + 4)
            dropped = min(len(order), dropped + max(1, int(over / each)))
            fitting = page.without(frozenset(order[len(order) - dropped :]))
            html = self._html(fitting)
        gone = frozenset(order[len(order) - dropped :]) if dropped else frozenset()
        words = self._guarded(lambda env: _subject(env, subject).render(_subject_values(page)), page.language)
        text = self._guarded(lambda env: env.get_template("edition.txt").render(page=fitting), page.language)
        marks, (html, text) = drawn.settled(html, tidy(text))
        return Rendered(subject_line(words), html, text, tuple(s for s in page.stories if s.id in gone), marks)

    def note(self, note: Note) -> Rendered:
        """A mail with one thing to do. ConfigError like `render`."""
        if self.folder and not self._at_home:
            return cast(Rendered, apart.ask(self.folder, "note", note))
        html = self._guarded(lambda env: env.get_template("note.html").render(note=note), note.language)
        text = self._guarded(lambda env: env.get_template("note.txt").render(note=note), note.language)
        return Rendered(subject_line(note.subject), inline(one_line(html)), tidy(text))

    def _html(self, page: Page) -> str:
        return inline(
            one_line(self._guarded(lambda env: env.get_template("edition.html").render(page=page), page.language))
        )

    def _guarded(self, do: Any, language: str) -> str:
        """Render, and turn an operator's mistake into a sentence that says where it is."""
        if self.folder and not self.folder.is_dir():
            raise ConfigError(f"there is no folder {self.folder} of templates", hint=_HINT)
        try:
            return str(do(_environment(tuple(self.folders), language)))
        except jinja2.TemplateNotFound as error:
            raise ConfigError(
                f"there is no template {error.name}", hint="looked in " + ", ".join(map(str, self.folders))
            ) from None
        except jinja2.TemplateSyntaxError as error:
            where = error.filename or error.name or "the subject"
            raise ConfigError(f"{where}, line {error.lineno}: {error.message}", hint=_HINT) from None
        except RecursionError as error:
            raise ConfigError(f"{_place(error)}: the templates extend each other in a circle", hint=_HINT) from None
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
            raise ConfigError(f"{_place(error)}: {error}", hint=_HINT) from None


def size(html: str, marks: Marks, home: str) -> int:
    """Bytes of the HTML as a reader gets it: UTF-8, with addresses of their own in place of the markers."""
    pieces, markers = marks.cut(html)
    return sum(len(piece.encode()) for piece in pieces) + len(markers) * (len(home) + _LINK)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, quicker about our own frozen values, which nearly all questions are about."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if type(obj) in _VALUES:
            return not attr.startswith("_")
        return super().is_safe_attribute(obj, attr, value)


# Compiled templates are kept in the environment; a file that changed is read again.
@lru_cache(maxsize=64)
def _environment(folders: tuple[Path, ...], language: str) -> ImmutableSandboxedEnvironment:
    environment = _Sandbox(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=jinja2.select_autoescape(["html"], default_for_string=False),  # a subject is text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    said = speech(language)
    environment.install_gettext_callables(said.gettext, said.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals["our"] = {"language": said.language, "dir": direction(said.language)}
    environment.filters.update(
        ago=said.ago, day=said.day, listed=said.listed, rhythm=said.rhythm, wrap=wrap, bind=bind, dir=direction
    )
    return environment


@lru_cache(maxsize=64)
def _subject(environment: jinja2.Environment, words: str) -> jinja2.Template:
    return environment.from_string(words)


def _subject_values(page: Page) -> dict[str, Any]:
    return {
        "newsletter": {"title": page.title},
        "edition": {"number": page.number, "date": page.date, "stories": len(page.stories), "note": page.note},
        "lead": {"title": page.lead.title, "source": page.lead.source},
    }


def _place(error: BaseException) -> str:
    """The template and line an error came out of, from its traceback."""
    place, trace = "a template", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if trace.tb_frame.f_globals.get("__jinja_template__") is not None or file.endswith((".html", ".txt", ".css")):
            place = f"{file}, line {trace.tb_lineno}"
        elif file == "<template>":
            place = "the subject"
        trace = trace.tb_next
    return place
