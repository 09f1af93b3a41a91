"""kill -9 at random moments: nobody lost, nobody twice unless in doubt, and the database none the worse."""

from __future__ import annotations

import crash
import pytest


# The other two pairs, and many more kills, are the benchmark's; histories of kills, the simulation's.
@pytest.mark.long
def test_a_run_killed_again_and_again_loses_nobody_and_no_story():
    """`benchmarks/crash.py` kills many more, with `--postgres` there too."""
    found = crash.run(kills=2, readers=60, after_crash="hold", seed=7)
    assert (found.missing, found.unexpected, found.unflagged, found.changed) == (0, 0, 0, 0)
    assert (found.untold, found.told_twice) == (0, 0)
    assert found.adds_up and found.integrity == "ok"
    assert found.duplicates <= found.doubled
    assert found.duplicates == 0
    assert found.held == found.in_doubt
    assert found.most_in_doubt <= 4  # one for each connection
