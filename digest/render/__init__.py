"""Stories in, mail out: subject, HTML and text of one variant. Pure but for reading the templates.

Jinja2 runs sandboxed and escapes what feeds say; premailer writes the styles inline. Personal links stand in the
result as the addresses of its `Marks`, which nobody else can have written and `letter` replaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import lazily

if TYPE_CHECKING:
    from digest.graphemes import width as width
    from digest.render.check import Finding as Finding
    from digest.render.check import check as check
    from digest.render.check import findings_in_words as findings_in_words
    from digest.render.marks import Marker as Marker
    from digest.render.marks import Marks as Marks
    from digest.render.marks import marks as marks
    from digest.render.note import MAILS as MAILS
    from digest.render.note import Fields as Fields
    from digest.render.note import Note as Note
    from digest.render.note import Reader as Reader
    from digest.render.page import Identity as Identity
    from digest.render.page import Page as Page
    from digest.render.page import Rendered as Rendered
    from digest.render.page import Section as Section
    from digest.render.speech import languages as languages
    from digest.render.speech import spoken as spoken
    from digest.render.templates import HTML_LIMIT as HTML_LIMIT
    from digest.render.templates import Templates as Templates
    from digest.render.templates import size as size
    from digest.render.templates import template_folder as template_folder
    from digest.render.templates import template_names as template_names
    from digest.render.words import SUBJECT_LENGTH as SUBJECT_LENGTH
    from digest.render.words import direction as direction
    from digest.render.words import shorten as shorten
    from digest.render.words import subject_line as subject_line
    from digest.render.words import wrap as wrap

lazily.offer(__name__)
