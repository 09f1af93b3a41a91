"""Editions: entries admitted as stories, stories composed into letters owed."""

from digest.edition.admit import Admitted as Admitted
from digest.edition.admit import admit as admit
from digest.edition.compose import Composed as Composed
from digest.edition.compose import Draft as Draft
from digest.edition.compose import compose as compose
from digest.edition.compose import preview as preview
