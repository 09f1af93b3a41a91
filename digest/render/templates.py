"""The templates of the mail, and what becomes of a page in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from html import unescape
from pathlib import Path
from typing import Any, TypeVar, cast

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from digest.colours import Palette
from digest.errors import ConfigError
from digest.graphemes import clamp
from digest.render import apart, ranks
from digest.render.inline import inline
from digest.render.marked import marked, noted, noted_text, unmarked
from digest.render.marks import Marker, Marks
from digest.render.note import MAILS, Note, Reader, fault, text_fault
from digest.render.page import Identity, Page, Rendered, Section
from digest.render.ranks import Band, Block, Places
from digest.render.scripts import direction, fonts
from digest.render.speech import speech
from digest.render.words import bind, one_line, subject_line, tidy, within, wrap
from digest.values import Earlier, Picture, Recording, Shot, Source, Story

HTML_LIMIT = 100_000  # bytes as sent: Gmail clips a little above
_LINK = 200  # at most, what a reader's own address takes the place of a marker
_PATH = 50  # and of one that leads to a page: the word for it and a token
_PACKAGE = Path(__file__).parent.parent
_VALUES = frozenset(
    {
        *(Note, Page, Identity, Palette, Places, Band, Block, Reader, Section),
        *(Story, Source, Earlier, Recording, Picture, Shot),
    }
)
_TAG = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*")  # BCP 47; nothing that leads out of a folder
_SIMPLE = re.compile(r"([^{]|\{(?![{%#])|\{\{ *[\w.]+ *\}\})*")  # a subject that cannot take long
_HINT = "nothing was sent; `digest help templates` says what a template is given"
_NOTE_HINT = "until then our own words go out; `digest help templates` says what a template is given"
T = TypeVar("T")


def template_folder() -> Path:
    """Where the package's own templates are: in a wheel inside it, in a checkout beside it."""
    inside = _PACKAGE / "templates" / "email"
    return inside if inside.is_dir() else _PACKAGE.parent / "templates" / "email"


class Templates:
    """The mail's templates: the package's, each replaceable by a file of the same name in `folders`.

    The first folder goes before the others, and in each of them the files for one language (`de-AT/`, `de/`) before
    those for all. `ours/NAME` is always the package's.
    """

    def __init__(self, *folders: Path | None, at_home: bool = False) -> None:
        """`at_home`: render in this process, also what is not ours, which then may take for ever."""
        self.theirs = tuple(folder for folder in folders if folder is not None)
        self._at_home = at_home

    def judge(self, subject: str) -> None:
        """ConfigError where a template in `folder`, or the subject, cannot be read as one. Nothing is rendered."""
        if not self._at_home:
            if self.theirs or not _SIMPLE.fullmatch(subject):
                apart.ask(self.theirs, "judge", subject)  # a compiler works out constants, and 9 ** (9 ** 9) is one
            return
        for name, language in sorted(self.replaced()):
            self._guarded(partial(_loaded, name=name), language or "en")
        self._guarded(lambda env: _subject(env, subject), "en")

    def replaced(self) -> set[tuple[str, str]]:
        """The templates for which `folders` have files: the name of each, and the language it is for ("" is any)."""
        found = set()
        for folder in self.theirs:
            for path in (*folder.glob("*"), *folder.glob("*/*")):
                language = "" if path.parent == folder else path.parent.name
                if path.name in template_names() and _TAG.fullmatch(language or "en") and path.is_file():
                    found.add((path.name, language))
        return found

    def render(self, page: Page, *, subject: str, best_first: Sequence[int] = ()) -> Rendered:
        """One variant, within `HTML_LIMIT`. ConfigError names template and line where an operator's template is wrong.

        Where it does not fit, the last of `best_first` (story ids; else the order of the page) fall to "more on
        the web" until it does. The lead never falls.
        """
        if not self._at_home and (self.theirs or not _SIMPLE.fullmatch(subject)):
            return cast(Rendered, apart.ask(self.theirs, "render", page, subject=subject, best_first=best_first))
        drawn = Marks.drawn()
        page = replace(page.fair(), marks=drawn, order=tuple(best_first) or page.order)
        words = self._guarded(lambda env: _subject(env, subject).render(_subject_values(page)), page.language)
        page = replace(page, subject=subject_line(words))
        order = [id_ for id_ in best_first or [s.id for s in page.stories] if id_ != page.lead.id]
        fitting, dropped = page.pointing(), 0
        html = self._html(fitting)
        if page.asks and size(html, drawn, page.home) > HTML_LIMIT:  # no story falls for what we ask about others
            page, fitting = replace(page, asks=False), replace(fitting, asks=False)
            html = self._html(fitting)
        while (over := size(html, drawn, page.home) - HTML_LIMIT) > 0 and dropped < len(order):
            each = (over + HTML_LIMIT) / (len(order) - dropped + 4)
            dropped = min(len(order), dropped + max(1, int(over / each)))
            fitting = page.without(frozenset(order[len(order) - dropped :])).pointing()
            html = self._html(fitting)
        gone = frozenset(order[len(order) - dropped :]) if dropped else frozenset()
        text = self._guarded(lambda env: env.get_template("edition.txt").render(page=fitting), page.language)
        marks, (html, text) = drawn.settled(html, tidy(text))
        return Rendered(page.subject, html, text, tuple(s for s in page.stories if s.id in gone), marks)

    def note(self, note: Note) -> Rendered:
        """A mail with one thing to do. ConfigError like `render`, and where what must be in it is left out."""
        if self.theirs and not self._at_home:
            return cast(Rendered, apart.ask(self.theirs, "note", note))
        return self._guarded(lambda env: self._note(env, note), note.asked or note.language, hint=_NOTE_HINT)

    def _note(self, env: jinja2.Environment, note: Note) -> Rendered:
        page, text = env.select_template(note.templates("html")), env.select_template(note.templates("txt"))
        paths = [Path(template.filename or "") for template in (page, text)]
        if note.asked and any(path.parent.name in _tongues(note.asked) for path in paths):
            note = replace(note, language=note.asked)  # the words are theirs, in a language that we may not have
        theirs = [path.parent != template_folder() for path in paths]
        title, html = _with_subject(page, note)
        subject, words = _with_subject(text, note)
        if theirs[0] and not theirs[1] and "subject" in page.blocks:
            subject = unescape(title)
        subject, html, words = subject_line(subject), inline(one_line(html)), tidy(words)
        if any(theirs):
            for path, wrong in ((paths[0], fault(note, html)), (paths[1], text_fault(note, words))):
                if wrong:
                    raise ConfigError(f"{path} {wrong}", hint=_NOTE_HINT)
            if not subject:
                raise ConfigError(f"{paths[1]} has an empty block subject", hint=_NOTE_HINT)
            if len(html.encode()) > HTML_LIMIT:
                raise ConfigError(f"{paths[0]} makes a mail of more than {HTML_LIMIT:,} bytes", hint=_NOTE_HINT)
        return Rendered(subject, html, words)

    def _html(self, page: Page) -> str:
        return inline(
            one_line(self._guarded(lambda env: env.get_template("edition.html").render(page=page), page.language))
        )

    def _guarded(self, do: Callable[[ImmutableSandboxedEnvironment], T], language: str, *, hint: str = _HINT) -> T:
        """Render, and turn an operator's mistake into a sentence that says where it is."""
        for folder in self.theirs:
            if not folder.is_dir():
                raise ConfigError(f"there is no folder {folder} of templates", hint=hint)
        try:
            return do(_environment(self.theirs, language))
        except jinja2.TemplatesNotFound as error:
            raise _not_found(error.templates, self.theirs) from None
        except jinja2.TemplateNotFound as error:
            raise _not_found([error.name], self.theirs) from None
        except jinja2.TemplateSyntaxError as error:
            where = error.filename or error.name or "the subject"
            raise ConfigError(f"{where}, line {error.lineno}: {error.message}", hint=hint) from None
        except RecursionError as error:
            raise ConfigError(f"{_place(error)}: the templates extend each other in a circle", hint=hint) from None
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
            raise ConfigError(f"{_place(error)}: {error}", hint=hint) from None


def _loaded(environment: jinja2.Environment, name: str) -> jinja2.Template:
    return environment.get_template(name)


def _not_found(names: Sequence[Any], folders: Sequence[Path]) -> ConfigError:
    places = ", ".join(map(str, (*folders, template_folder())))
    return ConfigError(f"there is no template {' or '.join(map(str, names))}", hint=f"looked in {places}")


def template_names() -> frozenset[str]:
    """The names of files that a folder of an operator's own may have."""
    ours = {path.name for path in template_folder().iterdir()}
    return frozenset(ours | {f"{kind}.{end}" for kind in MAILS for end in ("html", "txt")})


def _with_subject(template: jinja2.Template, note: Note) -> tuple[str, str]:
    """What its block `subject` says, or ours where it has none, and all the rest: the subject shows nowhere in it."""
    context = template.new_context(note.values)
    blocks = context.blocks.setdefault("subject", [])
    blocks.insert(0, lambda _context: iter(()))
    try:
        body = template.environment.concat(template.root_render_func(context))
        subject = template.environment.concat(blocks[1](context)) if len(blocks) > 1 else note.subject
    except Exception:
        template.environment.handle_exception()
    return subject, body


def size(html: str, marks: Marks, home: str) -> int:
    """Bytes of the HTML as a reader gets it: UTF-8, with addresses of their own in place of the markers."""
    pieces, markers = marks.cut(html)
    room = sum(len(home) + (_PATH if marker is Marker.PREFERENCES else _LINK) for marker in markers)
    return sum(len(piece.encode()) for piece in pieces) + room


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, quicker about our own frozen values, which nearly all questions are about."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        # What stands in a field of ours is no method of a string, which is all that is looked for beside the name.
        if type(obj) in _VALUES and not attribute.startswith("_") and attribute != "called":
            try:
                return getattr(obj, attribute)
            except AttributeError:
                pass
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if type(obj) in _VALUES:
            return not attr.startswith("_") and attr != "called"  # what is shown of it is `Reader.name`
        return super().is_safe_attribute(obj, attr, value)


def _tongues(language: str) -> tuple[str, ...]:
    """The folders of a language: "de-AT" and "de"."""
    return tuple(dict.fromkeys((language, language.partition("-")[0]))) if _TAG.fullmatch(language) else ()


# Compiled templates are kept in the environment; a file that changed is read again.
@lru_cache(maxsize=64)
def _environment(folders: tuple[Path, ...], language: str) -> ImmutableSandboxedEnvironment:
    places = [place for folder in folders for place in (*(folder / tongue for tongue in _tongues(language)), folder)]
    ours = jinja2.FileSystemLoader(template_folder())
    environment = _Sandbox(
        loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(places), ours, jinja2.PrefixLoader({"ours": ours})]),
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
        earlier=lambda before, now: said.earlier(before, now),
        ago=lambda moment, now: said.ago(moment, now).replace(" ", "\xa0"),  # "3 h" and "ago" on one line
        day=said.day,
        length_of=said.length,
        listed=said.listed,
        rhythm=said.rhythm,
        wrap=wrap,
        marked=marked,
        unmarked=unmarked,
        noted=noted,
        noted_text=noted_text,
        bind=bind,
        dir=direction,
        clamp=clamp,
        ending=_ending,
        saying=lambda story: ranks.saying(story),
        beyond=ranks.beyond,
        in_a_line=ranks.in_a_line,
        tongue=_tongue,
    )
    environment.filters.update(upper=said.upper, quoted=said.quoted, fonts=fonts)
    return environment


def _ending(excerpt: str, columns: int, story: Story) -> str:
    """An excerpt cut to so many columns; of a summary, whose sentences are whole, as many as fit."""
    if story.summary:
        whole = within(excerpt, columns)
        if whole:
            return whole
    return clamp(excerpt, columns)


@lru_cache(maxsize=256)
def _tongue(language: str, around: str) -> Markup:
    """The attributes of a text in a language, or in that of the mail `around` it; on what may be aligned otherwise."""
    runs, theirs = direction(language or around), direction(around)
    side = Markup(' align="{}"').format("right" if runs == "rtl" else "left") if runs != theirs else ""
    return Markup(' lang="{}" dir="{}"{}').format(language or around, runs, side)


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
