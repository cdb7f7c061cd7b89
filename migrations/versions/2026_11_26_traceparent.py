"""traceparent: the trace that a job belongs to, and indexes for what Prometheus reads

Revision ID: e4b7029d51ca
Revises: c61f0a9d3e58
"""

import sqlalchemy as sa
from alembic import op

revision = "e4b7029d51ca"
down_revision = "e47b20d5c9a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("traceparent", sa.String(length=55), nullable=True))
    op.create_index("ix_job_status_error_code", "job", ["status", "error_code"])
    op.create_index("ix_run_census", "run", ["team_id", "error_code", "ended_at", "slot_seconds"])


def downgrade() -> None:
    op.drop_index("ix_run_census", table_name="run")
    op.drop_index("ix_job_status_error_code", table_name="job")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_column("traceparent")
