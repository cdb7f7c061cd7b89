"""overview: who posted a job, its losses in short, and an index for counting a team's jobs

Revision ID: 8a61c3f0b7d2
Revises: 5d0c7e21fa34
"""

import sqlalchemy as sa
from alembic import op

revision = "8a61c3f0b7d2"
down_revision = "5d0c7e21fa34"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.add_column(sa.Column("posted_by", sa.String(length=100), nullable=True))
        batch_op.add_column(sa.Column("loss_trace", sa.JSON(), nullable=True))
    op.create_index("ix_job_team_id_status", "job", ["team_id", "status"])


def downgrade() -> None:
    op.drop_index("ix_job_team_id_status", table_name="job")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_column("loss_trace")
        batch_op.drop_column("posted_by")
