"""fair queue: shares, quotas, stops, causes, slots

Revision ID: 2b8f4d6e90c1
Revises: b3f84d10c6e9
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "2b8f4d6e90c1"
down_revision = "b3f84d10c6e9"
branch_labels = None
depends_on = None

_WORD = sa.String(length=20)


def _required(name: str, kind: sa.types.TypeEngine[Any], value: Any) -> sa.Column[Any]:
    """Return a column that is required, with the value that existing rows get."""
    return sa.Column(name, kind, nullable=False, server_default=value)


def _columns() -> dict[str, list[sa.Column[Any]]]:
    moment = sa.DateTime(timezone=True)
    return {
        "team": [
            _required("weight", sa.Double(), "1"),
            sa.Column("max_running", sa.Integer(), nullable=True),
            sa.Column("max_queued", sa.Integer(), nullable=True),
            sa.Column("max_slot_seconds", sa.Double(), nullable=True),
            _required("max_priority_class", _WORD, "normal"),
            _required("usage_seconds", sa.Double(), "0"),
            sa.Column("usage_at", moment, nullable=True),
        ],
        "api_key": [_required("is_operator", sa.Boolean(), sa.false())],
        "job": [
            _required("priority_class", _WORD, "normal"),
            sa.Column("pinned_rank", sa.Integer(), nullable=True),
            sa.Column("held_at", moment, nullable=True),
            sa.Column("hold_reason", sa.String(length=200), nullable=True),
            sa.Column("cpu_memory_bytes", sa.BigInteger(), nullable=True),
            sa.Column("cuda_memory_bytes", sa.BigInteger(), nullable=True),
            sa.Column("expected_seconds", sa.Double(), nullable=True),
            _required("prepaid_seconds", sa.Double(), "0"),
            sa.Column("timeout_seconds", sa.Double(), nullable=True),
            _required("batch_split", sa.Integer(), "1"),
            sa.Column("stop_kind", _WORD, nullable=True),
            sa.Column("checkpoint_requested_at", moment, nullable=True),
            sa.Column("checkpoint_step", sa.Integer(), nullable=True),
            sa.Column("checkpoint_at", moment, nullable=True),
            sa.Column("error_log", sa.JSON(), nullable=True),
            sa.Column("peak_gpu_bytes", sa.BigInteger(), nullable=True),
            sa.Column("peak_host_bytes", sa.BigInteger(), nullable=True),
        ],
        "run": [
            _required("slot_size", sa.Double(), "1"),
            sa.Column("boot_id", sa.String(length=64), nullable=True),
            sa.Column("resumed_step", sa.Integer(), nullable=True),
            sa.Column("cause", _WORD, nullable=True),
            sa.Column("error_message", sa.Text(), nullable=True),
            sa.Column("peak_gpu_bytes", sa.BigInteger(), nullable=True),
            sa.Column("peak_host_bytes", sa.BigInteger(), nullable=True),
        ],
        "slot": [
            _required("size", sa.Double(), "1"),
            sa.Column("boot_id", sa.String(length=64), nullable=True),
            sa.Column("gpu_name", sa.String(length=100), nullable=True),
            sa.Column("gpu_uuid", sa.String(length=64), nullable=True),
            sa.Column("memory_used_bytes", sa.BigInteger(), nullable=True),
            sa.Column("temperature_celsius", sa.Double(), nullable=True),
            sa.Column("utilization_percent", sa.Double(), nullable=True),
            sa.Column("power_watts", sa.Double(), nullable=True),
            sa.Column("blocked_reason", sa.Text(), nullable=True),
            sa.Column("drained_at", moment, nullable=True),
        ],
    }


def upgrade() -> None:
    for table, columns in _columns().items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                batch_op.add_column(column)
    # Until this migration a stop could only be a cancel, and a lost worker was the only cause of a crash.
    op.execute("UPDATE job SET stop_kind = 'cancel' WHERE stop_requested_at IS NOT NULL")
    op.execute("UPDATE run SET cause = 'crash' WHERE error_code = 'worker_lost'")
    op.execute("UPDATE run SET cause = 'interruption' WHERE error_code = 'interrupted'")


def downgrade() -> None:
    for table, columns in reversed(_columns().items()):
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in reversed(columns):
                batch_op.drop_column(column.name)
