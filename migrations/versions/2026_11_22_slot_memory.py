"""slot memory

Revision ID: 7c1f0a5be2d4
Revises: 439641e491cb
"""

import sqlalchemy as sa
from alembic import op

revision = "7c1f0a5be2d4"
down_revision = "439641e491cb"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("slot", schema=None) as batch_op:
        batch_op.add_column(sa.Column("memory_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("slot", schema=None) as batch_op:
        batch_op.drop_column("memory_bytes")
