"""Settings: `digest.toml`, each value overridable by environment, read once into a frozen `Config`.

    digest.toml                 environment
    base_url = "…"              DIGEST_BASE_URL
    [smtp] url = "…"            DIGEST_SMTP__URL
    [newsletters.daily] title   DIGEST_NEWSLETTERS__DAILY__TITLE

Relative paths are relative to the file, so that the working directory of cron does not matter.

`kinds` of values make up `sections`, sections the `settings`, and `file` reads them.
"""

from digest.config.file import FILE as FILE
from digest.config.file import exposed as exposed
from digest.config.file import find as find
from digest.config.file import from_values as from_values
from digest.config.file import load as load
from digest.config.file import new_secret as new_secret
from digest.config.kinds import OTHER as OTHER
from digest.config.kinds import TOPICS as TOPICS
from digest.config.kinds import Network as Network
from digest.config.sections import Collect as Collect
from digest.config.sections import Curate as Curate
from digest.config.sections import Newsletter as Newsletter
from digest.config.sections import Relay as Relay
from digest.config.sections import Rule as Rule
from digest.config.sections import Section as Section
from digest.config.sections import Smtp as Smtp
from digest.config.sections import Topic as Topic
from digest.config.settings import Config as Config
