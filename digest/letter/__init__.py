"""A variant and a reader in, one message out: headers, MIME, envelope, signature. Pure.

The same letter has the same bytes at every attempt: Date is the edition's, Message-ID is derived, nothing is
drawn at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import lazily

if TYPE_CHECKING:
    from digest.letter.attached import Attached as Attached
    from digest.letter.dkim import Signer as Signer
    from digest.letter.message import Letter as Letter
    from digest.letter.message import Own as Own
    from digest.letter.message import Recipient as Recipient
    from digest.letter.message import Said as Said
    from digest.letter.message import Sender as Sender
    from digest.letter.message import Template as Template
    from digest.letter.message import address as address
    from digest.letter.message import check_address as check_address
    from digest.letter.message import domain as domain
    from digest.letter.message import leave_line as leave_line
    from digest.letter.message import returned_line as returned_line
    from digest.letter.quoted import Encoder as Encoder
    from digest.letter.quoted import Folded as Folded
    from digest.letter.quoted import folded as folded

lazily.offer(__name__)
