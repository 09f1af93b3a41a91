"""Editions: admitting entries to a newsletter as stories."""

from digest.edition.admit import Admitted as Admitted
from digest.edition.admit import admit as admit
