"""kill -9 at random moments: nobody lost, nobody twice unless in doubt, and the database none the worse."""

from __future__ import annotations

import crash
import pytest


# The other two pairs, and many more kills, are the benchmark's; histories of kills, the simulation's.
@pytest.mark.parametrize(("kind", "after_crash"), [("sqlite", "hold"), ("postgres", "resend")])
def test_a_run_killed_again_and_again_loses_nobody_and_no_story(request, kind, after_crash):
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
    found = crash.run(kills=2, readers=60, after_crash=after_crash, seed=7, url=url)
    assert (found.missing, found.unexpected, found.unflagged, found.changed) == (0, 0, 0, 0)
    assert (found.untold, found.told_twice) == (0, 0)
    assert found.adds_up and found.integrity == "ok"
    assert found.duplicates <= found.doubled
    if after_crash == "hold":
        assert found.duplicates == 0
        assert found.held == found.in_doubt
        assert found.most_in_doubt <= 4  # one for each connection
