"""The command `emotune settings`."""

from pathlib import Path

from cli.settings import describe_settings
from jobs.settings import Settings, load_settings


def test_each_setting_is_a_variable_without_its_password(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql://emotune:hush@db:5432/emotune",
        redis_url="redis://:hush@cache/0",
        base_models={"a": "/models/a"},
    )
    lines = describe_settings(settings)
    assert len(lines) == len(Settings.model_fields)
    assert "EMOTUNE_DATABASE_URL=postgresql://emotune:***@db:5432/emotune" in lines
    assert "EMOTUNE_REDIS_URL=redis://:***@cache/0" in lines
    assert 'EMOTUNE_BASE_MODELS={"a": "/models/a"}' in lines
    assert "EMOTUNE_PORT=8000" in lines
    assert not [line for line in lines if "hush" in line]


def test_it_takes_what_load_settings_takes() -> None:
    assert describe_settings(load_settings())
