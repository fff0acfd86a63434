"""Run by Alembic; the connection and its transaction are those of whoever migrates."""

from typing import Final

from alembic import context

from parley_coordinator.store.tables import METADATA

_RUN_BY_ALEMBIC: Final = "env_py"
"""The name that it gives this module when it executes the file."""

if __name__ == _RUN_BY_ALEMBIC:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
