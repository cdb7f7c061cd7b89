"""release: the release of a slot's worker, and what other releases have to know about each migration

Revision ID: e47b20d5c9a1
Revises: c61f0a9d3e58
"""

import sqlalchemy as sa
from alembic import op

revision = "e47b20d5c9a1"
down_revision = "c61f0a9d3e58"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schema_revision",
        sa.Column("revision", sa.String(length=32), nullable=False),
        sa.Column("oldest_code", sa.String(length=32), nullable=True),
        sa.Column("emotune_version", sa.String(length=40), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_schema_revision")),
    )
    with op.batch_alter_table("slot", schema=None) as batch_op:
        batch_op.add_column(sa.Column("emotune_version", sa.String(length=40), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("slot", schema=None) as batch_op:
        batch_op.drop_column("emotune_version")
    op.drop_table("schema_revision")
