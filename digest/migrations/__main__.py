"""`python -m digest.migrations "what it does"` writes the next revision: what `models` has and the last one lacks."""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from digest.store.database import MIGRATIONS, head, open_database

with tempfile.TemporaryDirectory() as folder:
    database = open_database(f"sqlite:///{Path(folder) / 'digest.db'}", create=True)
    with database.write() as session:
        settings = Config()
        settings.set_main_option("script_location", str(MIGRATIONS))
        settings.attributes["connection"] = session.connection()
        command.revision(settings, sys.argv[1], autogenerate=True, rev_id=f"{int(head()) + 1:04}")
    database.close()
