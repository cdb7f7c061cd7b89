"""validation dataset, estimate and result

Revision ID: 9d2e6c41a7b3
Revises: 7c1f0a5be2d4
"""

import sqlalchemy as sa
from alembic import op

revision = "9d2e6c41a7b3"
down_revision = "7c1f0a5be2d4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.add_column(sa.Column("validation_dataset_id", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("validation_dataset_name", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("validation_dataset_sha256", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("dataset_report", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("estimate", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("result", sa.JSON(), nullable=True))
        batch_op.create_index(batch_op.f("ix_job_validation_dataset_id"), ["validation_dataset_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_validation_dataset_id"))
        batch_op.drop_column("result")
        batch_op.drop_column("estimate")
        batch_op.drop_column("dataset_report")
        batch_op.drop_column("validation_dataset_sha256")
        batch_op.drop_column("validation_dataset_name")
        batch_op.drop_column("validation_dataset_id")
