"""web session: sessions of browsers, and the codes of login links

Revision ID: c61f0a9d3e58
Revises: 8a61c3f0b7d2
"""

import sqlalchemy as sa
from alembic import op

revision = "c61f0a9d3e58"
down_revision = "8a61c3f0b7d2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "web_session",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("api_key_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_key.id"], name=op.f("fk_web_session_api_key_id")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_web_session")),
    )
    op.create_table(
        "login_code",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("api_key_id", sa.String(length=40), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_key.id"], name=op.f("fk_login_code_api_key_id")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_login_code")),
    )
    for table in ("web_session", "login_code"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.create_index(batch_op.f(f"ix_{table}_expires_at"), ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("login_code")
    op.drop_table("web_session")
