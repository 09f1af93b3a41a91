"""What a newsletter makes of entries: topic, story, rank, excerpt, and a reason for each. Values in, values out."""

from digest.config import OTHER as OTHER
from digest.curate.rank import LeftOut as LeftOut
from digest.curate.rank import Selection as Selection
from digest.curate.rank import pick as pick
from digest.curate.sieve import WHOLE as WHOLE
from digest.curate.sieve import Cut as Cut
from digest.curate.sieve import Sieve as Sieve
from digest.curate.topics import Heading as Heading
from digest.curate.topics import headings as headings
