"""Who gets what: joining, choosing, pausing, leaving, being forgotten, and lists from and for other services.

`address` gives each person one form, `preferences` is what they choose, `people` changes one person, `where` says whom
to find and `many` does the same to all of them, `sheet` reads other services' CSV, `transfer` imports and exports a
million of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import lazily

if TYPE_CHECKING:
    from digest.subscribe.address import address as address
    from digest.subscribe.address import display_name as display_name
    from digest.subscribe.address import domain_of as domain_of
    from digest.subscribe.address import erasure_mark as erasure_mark
    from digest.subscribe.address import key as key
    from digest.subscribe.dates import Ambiguous as Ambiguous
    from digest.subscribe.people import Added as Added
    from digest.subscribe.people import Joining as Joining
    from digest.subscribe.people import add as add
    from digest.subscribe.people import address_or_domain as address_or_domain
    from digest.subscribe.people import change as change
    from digest.subscribe.people import choose_all as choose_all
    from digest.subscribe.people import come_back as come_back
    from digest.subscribe.people import erase as erase
    from digest.subscribe.people import everything as everything
    from digest.subscribe.people import find as find
    from digest.subscribe.people import known as known
    from digest.subscribe.people import leave as leave
    from digest.subscribe.people import leave_all as leave_all
    from digest.subscribe.people import pause as pause
    from digest.subscribe.people import remove as remove
    from digest.subscribe.people import resume as resume
    from digest.subscribe.people import suppress as suppress
    from digest.subscribe.people import unsuppress as unsuppress
    from digest.subscribe.people import unsuppress_all as unsuppress_all
    from digest.subscribe.plan import Imported as Imported
    from digest.subscribe.plan import Plan as Plan
    from digest.subscribe.preferences import Changes as Changes
    from digest.subscribe.preferences import Preferences as Preferences
    from digest.subscribe.preferences import checked as checked
    from digest.subscribe.presets import SERVICES as SERVICES
    from digest.subscribe.terms import MEANINGS as MEANINGS
    from digest.subscribe.terms import UPDATABLE as UPDATABLE
    from digest.subscribe.terms import MeaningWanted as MeaningWanted
    from digest.subscribe.terms import Terms as Terms
    from digest.subscribe.titles import MAPPABLE as MAPPABLE
    from digest.subscribe.transfer import export_csv as export_csv
    from digest.subscribe.transfer import import_csv as import_csv
    from digest.subscribe.transfer import private_file as private_file
    from digest.subscribe.where import search as search
    from digest.values import Evidence as Evidence

lazily.offer(__name__)
