"""Settings: `digest.toml`, each value overridable by environment, read once into a frozen `Config`.

    digest.toml                 environment
    base_url = "…"              DIGEST_BASE_URL
    [smtp] url = "…"            DIGEST_SMTP__URL
    [newsletters.daily] title   DIGEST_NEWSLETTERS__DAILY__TITLE

Relative paths are relative to the file, so that the working directory of cron does not matter.

`value_types` make up the sections in `settings`, these the `config`, and `file` reads it, with the newsletters of the
`folder` beside it; `hosts` are written for the network.
"""

from digest.config.config import Config as Config
from digest.config.config import Imprint as Imprint
from digest.config.config import database_at as database_at
from digest.config.config import real_file as real_file
from digest.config.file import FILE as FILE
from digest.config.file import exposed as exposed
from digest.config.file import find as find
from digest.config.file import from_values as from_values
from digest.config.file import load as load
from digest.config.file import new_secret as new_secret
from digest.config.folder import FOLDER as FOLDER
from digest.config.hosts import address_as_read as address_as_read
from digest.config.hosts import as_ascii as as_ascii
from digest.config.hosts import as_read as as_read
from digest.config.settings import Collect as Collect
from digest.config.settings import Curate as Curate
from digest.config.settings import Newsletter as Newsletter
from digest.config.settings import Rule as Rule
from digest.config.settings import Section as Section
from digest.config.settings import Topic as Topic
from digest.config.smtp import Relay as Relay
from digest.config.smtp import Smtp as Smtp
from digest.config.value_types import OTHER as OTHER
from digest.config.value_types import TOPICS as TOPICS
from digest.config.value_types import Network as Network
from digest.config.value_types import ServerUrl as ServerUrl
from digest.config.value_types import imap_server as imap_server
from digest.config.value_types import name_server as name_server
