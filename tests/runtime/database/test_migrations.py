from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from runtime.actor.database.migrations import Migration, migrations
from runtime.actor.database.provider import raw_database
from runtime.actor.database.sqlalchemy_binding import JournalEntry, sqlalchemy_database
from runtime.errors import ActorError
from tests.runtime.owner import Owner

FIRST = Migration(1, sql="CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
SECOND = Migration(2, up=lambda db: db.execute("ALTER TABLE items ADD COLUMN status TEXT NOT NULL DEFAULT 'active'"))


async def test_the_ladder_runs_once_and_goes_on_where_it_stopped():
    owner = await Owner(database=raw_database(migrations([FIRST], table_name="v"))).start()
    await owner.database.client.execute("INSERT INTO items (name) VALUES ('a')")
    owner.definition.database = raw_database(migrations([FIRST, SECOND], table_name="v"))
    owner = await (await owner.start_again()).start_again()
    assert await owner.database.client.execute("SELECT * FROM items") == [{"id": 1, "name": "a", "status": "active"}]
    assert await owner.database.client.execute("SELECT * FROM v") == [{"singleton": 1, "schema_version": 2}]
    owner.definition.database = raw_database(migrations([FIRST], table_name="v"))
    with pytest.raises(RuntimeError, match='migration version 2 in "v" is newer than supported version 1'):
        await owner.start_again()


async def test_adopting_an_older_schema():
    owner = await Owner(database=raw_database(lambda db: db.execute(FIRST.sql))).start()
    owner.definition.database = raw_database(migrations([FIRST, SECOND], adopt=lambda db: 1))
    owner = await owner.start_again()
    rows = await owner.database.client.execute("SELECT schema_version FROM rivetkit_schema_version")
    assert rows == [{"schema_version": 2}]
    await owner.database.close()


@pytest.mark.parametrize(
    ("steps", "options", "text"),
    [
        ([], {}, "migration ladder must not be empty"),
        ([SECOND], {}, "invalid migration ladder: expected version 1, received 2"),
        ([Migration(1)], {}, "invalid migration 1: expected exactly one of sql or up"),
        ([Migration(1, sql="x", up=print)], {}, "invalid migration 1: expected exactly one of sql or up"),
        ([Migration(1, sql=" ")], {}, "invalid migration 1: SQL is empty"),
        ([FIRST], {"table_name": "a b"}, 'invalid migration table name "a b": expected a SQLite identifier'),
    ],
)
def test_malformed_ladders(steps, options, text):
    with pytest.raises(ValueError, match=text):
        migrations(steps, **options)


async def test_a_failing_migration_leaves_nothing_and_closes():
    attempts = []

    async def migrate(db):
        attempts.append(db.actor_id)
        await db.execute("CREATE TABLE probe (a)")
        if len(attempts) == 1:
            raise KeyError("intentional")

    owner = Owner(database=raw_database(migrate))
    with pytest.raises(KeyError):
        await owner.start()
    owner = await owner.start_again()
    assert attempts == ["actor1", "actor1"]
    await owner.database.close()


async def test_a_cancelled_migration_leaves_nothing():
    async def migrate(db):
        await db.execute("CREATE TABLE probe (a)")
        await asyncio.sleep(60)

    owner = Owner(database=raw_database(migrate))
    await owner.disk.open()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await owner.database.migrate()
    owner.definition.database = raw_database()
    owner = await owner.start_again()
    assert await owner.database.client.execute("SELECT name FROM sqlite_master WHERE name = 'probe'") == []
    await owner.database.close()


async def test_providers_can_be_wrapped():
    calls = []
    inner = raw_database(lambda db: db.execute("CREATE TABLE IF NOT EXISTS x (a)"))

    class Tracked:
        def create_client(self, session):
            calls.append(("create", session.actor_id))
            return inner.create_client(session)

        def on_migrate(self, db):
            calls.append(("migrate", db.actor_id))
            return inner.on_migrate(db)

    owner = await (await Owner(database=Tracked()).start()).start_again()
    assert calls == [("create", "actor1"), ("migrate", "actor1")] * 2
    await owner.database.close()


# SQLAlchemy.


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


LOG = Table("log", MetaData(), Column("id", Integer, primary_key=True), Column("text", String))
JOURNAL = [
    JournalEntry(
        "0000_init", 1700000000000, "CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT);\n--> statement-breakpoint\nCREATE TABLE b (x)"
    )
]


@pytest.fixture
async def owner(either_host):
    owner = await Owner(database=sqlalchemy_database(migrations=JOURNAL, metadata=Base.metadata)).start()
    yield owner
    await owner.database.close()


async def test_journal_entries_are_applied_once_and_kept(owner):
    rows = await owner.database.client.execute("SELECT * FROM __drizzle_migrations")
    assert rows == [{"id": 1, "hash": JOURNAL[0].hash, "created_at": 1700000000000}]
    later = JournalEntry("0001", 1700000000001, "ALTER TABLE log ADD COLUMN extra")
    owner.definition.database = sqlalchemy_database(migrations=[*JOURNAL, later])
    owner = await (await owner.start_again()).start_again()
    assert len(await owner.database.client.execute("SELECT * FROM __drizzle_migrations")) == 2
    with pytest.raises(ValueError, match="reserved"):
        await owner.database.client.execute("DELETE FROM __drizzle_migrations")
    await owner.database.close()


async def test_core_and_orm_on_one_database(owner):
    db = owner.database.client

    def add(session):
        session.add_all([User(name="ada"), User(name="alan")])
        session.flush()
        return session.scalars(select(User).order_by(User.id)).all()

    assert [user.name for user in await db.session(add)] == ["ada", "alan"]
    await db.query(insert(LOG), [{"text": "one"}, {"text": "two"}])
    assert await db.query(select(LOG.c.text).order_by(LOG.c.id)) == [{"text": "one"}, {"text": "two"}]
    assert await db.connection(lambda connection: connection.scalar(select(func.count()).select_from(User))) == 2
    assert await db.execute("SELECT name FROM users WHERE id = ?", 2) == [{"name": "alan"}]
    owner = await owner.start_again()
    assert [row["name"] for row in await owner.database.client.query(select(User.name).order_by(User.id))] == ["ada", "alan"]
    await owner.database.close()


async def test_an_error_undoes_a_call(owner):
    db = owner.database.client
    await db.session(lambda session: session.add(User(name="ada")))

    def twice(session):
        session.add(User(name="grace"))
        session.flush()
        session.add(User(name="ada"))

    with pytest.raises(IntegrityError):
        await db.session(twice)
    assert await db.query(select(User.name)) == [{"name": "ada"}]
    await db.execute("SELECT 1")


async def test_a_transaction_of_several_calls_is_one(owner):
    db = owner.database.client

    async def work(tx):
        await tx.query(insert(User).values(name="core"))
        await tx.execute("INSERT INTO users (name) VALUES (?)", "raw")
        with pytest.raises(IntegrityError):
            await tx.session(lambda session: session.add_all([User(name="orm"), User(name="raw")]))
        inside = await tx.query(select(User.name).order_by(User.id))
        raise KeyError([row["name"] for row in inside])

    with pytest.raises(KeyError) as caught:
        await db.transaction(work)
    assert caught.value.args[0] == ["core", "raw"]
    assert await db.query(select(User.name)) == []


async def test_commit_and_rollback_of_a_session_stay_inside_the_call(owner):
    db = owner.database.client

    def work(session):
        session.add(User(name="a"))
        session.commit()
        session.add(User(name="b"))
        session.flush()
        session.rollback()
        session.add(User(name="c"))

    async def fail_after(tx):
        await tx.session(work)
        raise KeyError

    with pytest.raises(KeyError):
        await db.transaction(fail_after)
    assert await db.query(select(User.name)) == []
    await db.session(work)
    assert await db.query(select(User.name).order_by(User.name)) == [{"name": "a"}, {"name": "c"}]


async def test_a_migration_hook_sees_sqlalchemy_and_is_atomic():
    attempts = []

    async def migrate(tx):
        assert await tx.query(select(LOG)) == []
        await tx.execute("CREATE TABLE probe (a)")
        await tx.connection(Base.metadata.create_all)
        attempts.append(None)
        if len(attempts) == 1:
            raise RuntimeError("intentional drizzle migration failure")

    owner = Owner(database=sqlalchemy_database(metadata=LOG.metadata, on_migrate=migrate))
    with pytest.raises(RuntimeError, match="intentional"):
        await owner.start()
    owner = await owner.start_again()
    assert await owner.database.client.query(select(func.count()).select_from(User)) == [{"count_1": 0}]
    await owner.database.close()


async def test_a_nested_transaction_waits_for_its_own_parent(owner):
    async def work(tx):
        await tx.transaction(lambda inner: inner.query(select(User.name)))

    with pytest.raises(ActorError) as caught:
        await owner.database.client.transaction(work, timeout=0.05)
    assert caught.value.name == "sqlite.transaction_expired"


async def test_errors_of_plain_sql_stay_structured(owner):
    with pytest.raises(ActorError) as caught:
        await owner.database.client.execute("SELECT * FROM nowhere")
    assert caught.value.name == "core.internal_error"
