"""Tell the operator what they must know: once when it begins, once when it is over.

`conditions` (what is the matter, from what was seen) and `judge` (what of it is to be told) are pure; `shapes` has the
words as services want them; `channels` carries them; `telling` goes from the database to the channels; `weekly` is the
operator's own digest.
"""

from __future__ import annotations

from digest.alerts.channels import Means as Means
from digest.alerts.channels import beat as beat
from digest.alerts.conditions import Lines as Lines
from digest.alerts.conditions import Looked as Looked
from digest.alerts.conditions import Seen as Seen
from digest.alerts.conditions import conditions as conditions
from digest.alerts.judge import Judgement as Judgement
from digest.alerts.judge import judge as judge
from digest.alerts.telling import Told as Told
from digest.alerts.telling import now_wrong as now_wrong
from digest.alerts.telling import tell as tell
from digest.alerts.telling import test as test
from digest.alerts.weekly import owe as owe_weekly

__all__ = ["beat", "conditions", "judge", "now_wrong", "owe_weekly", "tell", "test"]
