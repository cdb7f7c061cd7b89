"""Bringing the database's schema to the newest revision."""

from importlib.resources import files

from alembic import command
from alembic.config import Config

from jobs.database import Database
from jobs.settings import Settings


def make_alembic_config() -> Config:
    """Alembic's configuration without a file: the scripts are a package of ours."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    return config


def migrate(settings: Settings, revision: str = "head") -> None:
    """Upgrade to the revision, all of it in one transaction."""
    config = make_alembic_config()
    database = Database(settings.sqlalchemy_url)
    try:
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        database.close()
