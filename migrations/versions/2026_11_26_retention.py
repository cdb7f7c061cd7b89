"""retention: artifacts whose file was deleted

Revision ID: 4e7b90d2a1f6
Revises: c61f0a9d3e58
"""

import sqlalchemy as sa
from alembic import op

revision = "4e7b90d2a1f6"
down_revision = "e4b7029d51ca"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("artifact", schema=None) as batch_op:
        batch_op.add_column(sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("artifact", schema=None) as batch_op:
        batch_op.drop_column("deleted_at")
