"""The SQLite database of one actor: statements, transactions, migrations, SQLAlchemy."""
