"""`digest audit`: does every letter that was owed have its end?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from digest.cli.common import Options, print_json, print_rows
from digest.cli.options import All, Json, Newsletters
from digest.errors import NotFound

_COLUMNS = ("newsletter", "edition", "owed", "sent", "refused", "dropped", "held", "still_owed", "in_doubt", "adds_up")
_MOST_DOUBTFUL = 1000


def audit(
    context: typer.Context,
    edition: Annotated[int | None, typer.Argument(metavar="EDITION", help="Only this one.")] = None,
    newsletter: Newsletters = None,
    every: All = False,
    full: Annotated[bool, typer.Option("--full", help="Count every letter anew, also of editions long ended.")] = False,
    as_json: Json = False,
) -> None:
    """Prove from the rows that every letter is accounted for. Owed = sent + refused + dropped + held + still owed.

    Owed is what was counted when the edition was composed. Where the last letter of an edition has ended, the others
    are told as they were counted then; --full counts them again, and says where the two differ. Letters in doubt,
    which a server may have taken without our hearing of it, are listed by name. Exit code 1 where something does not
    add up.

    Example: digest audit 12
    """
    from digest.store import edition_states, letters

    options: Options = context.obj
    with options.open() as (config, database), database.read() as session:
        names = config.chosen(newsletter, every=every)
        if names is None and edition is not None and not every:
            names = [config.newsletter(None)[0]]
        accounts = edition_states.accounts(session, newsletters=names, number=edition, full=full)
        if edition is not None and not accounts:
            whose = f"{' or '.join(names)} has" if names else "there is"
            raise NotFound(f"{whose} no edition {edition}", hint="`digest edition list` shows what there is")
        doubtful = letters.lines(session, newsletters=names, edition=edition, in_doubt=True, limit=_MOST_DOUBTFUL)
    if as_json:
        lines = [asdict(account) | {"adds_up": account.adds_up} for account in accounts]
        print_json({"editions": lines, "in_doubt": [asdict(line) for line in doubtful]})
    else:
        rows = [
            (
                a.newsletter or "(notices)",
                a.number or "",
                a.owed,
                a.sent,
                a.refused,
                a.dropped,
                a.held,
                a.still_owed,
                a.in_doubt,
                a.adds_up,
            )
            for a in accounts
        ]
        print_rows(_COLUMNS, rows)
        if doubtful:
            print()
            print_rows(
                ("letter", "newsletter", "edition", "in_doubt", "state", "reply"),
                [(d.id, d.newsletter, d.edition, d.email, d.state, d.reply) for d in doubtful],
            )
    if len(doubtful) == _MOST_DOUBTFUL:
        options.say(
            f"the first {_MOST_DOUBTFUL} in doubt; for more: digest outbox list --in-doubt --after {doubtful[-1].id}"
        )
    for account in accounts:
        for words in account.wrong:
            options.warn(f"{account.newsletter or 'notices'} {account.number or ''}: {words}".replace(" :", ":"))
    if not all(account.adds_up for account in accounts):
        raise typer.Exit(1)
