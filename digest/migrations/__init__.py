"""From each release's tables to the next: steps that Alembic takes when a database is opened."""
