"""usage: advances and half-lives of teams, what runs were expected to take and took, an index for claims

Revision ID: 5d0c7e21fa34
Revises: 2b8f4d6e90c1
"""

import sqlalchemy as sa
from alembic import op

revision = "5d0c7e21fa34"
down_revision = "2b8f4d6e90c1"
branch_labels = None
depends_on = None

_QUEUE = [
    "status",
    "priority_class",
    "team_id",
    "priority",
    "id",
    "created_at",
    "held_at",
    "pinned_rank",
    "needs_cuda",
    "cpu_memory_bytes",
    "cuda_memory_bytes",
    "expected_seconds",
    "prepaid_seconds",
]


def upgrade() -> None:
    with op.batch_alter_table("team", schema=None) as batch_op:
        batch_op.add_column(sa.Column("advance_seconds", sa.Double(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("usage_half_life_seconds", sa.Double(), nullable=False, server_default="86400"))
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("expected_seconds", sa.Double(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("slot_seconds", sa.Double(), nullable=True))
    op.drop_index("ix_job_queue", table_name="job")
    op.create_index("ix_job_queue", "job", _QUEUE)


def downgrade() -> None:
    op.drop_index("ix_job_queue", table_name="job")
    op.create_index("ix_job_queue", "job", ["status", "team_id", "priority", "id"])
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_column("slot_seconds")
        batch_op.drop_column("expected_seconds")
    with op.batch_alter_table("team", schema=None) as batch_op:
        batch_op.drop_column("usage_half_life_seconds")
        batch_op.drop_column("advance_seconds")
