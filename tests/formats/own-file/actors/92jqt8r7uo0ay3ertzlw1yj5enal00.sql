PRAGMA page_size = 4096;
PRAGMA auto_vacuum = 2;
PRAGMA user_version = 0;
PRAGMA application_id = 0;
BEGIN TRANSACTION;
CREATE TABLE _rivet_actor (id INTEGER PRIMARY KEY CHECK (id = 1), has_initialized INTEGER NOT NULL,
                                             input BLOB) WITHOUT ROWID
    ;
INSERT INTO "_rivet_actor" VALUES(1,1,X'65676976656E');
CREATE TABLE _rivet_actor_state (id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO "_rivet_actor_state" VALUES(1,X'A3616E18296472756E6701647465787465676976656E');
CREATE TABLE _rivet_conn_state (
        conn_id TEXT PRIMARY KEY, state BLOB NOT NULL, server_message_index INTEGER NOT NULL, client_message_index INTEGER NOT NULL,
        subscriptions BLOB NOT NULL) WITHOUT ROWID
    ;
CREATE TABLE _rivet_conns (
        conn_id TEXT PRIMARY KEY, parameters BLOB NOT NULL, gateway_id BLOB NOT NULL, request_id BLOB NOT NULL, request_path TEXT NOT NULL,
        request_headers BLOB NOT NULL) WITHOUT ROWID
    ;
CREATE TABLE _rivet_meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO "_rivet_meta" VALUES('kv_import_state',X'646F6E65');
INSERT INTO "_rivet_meta" VALUES('schema_version',X'0100000000000000');
CREATE TABLE _rivet_queue (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL,
                                             created_at INTEGER NOT NULL) WITHOUT ROWID
    ;
INSERT INTO "_rivet_queue" VALUES(1,'jobs',X'A16473697A6503',1795886587021);
INSERT INTO "_rivet_queue" VALUES(2,'jobs',X'A16473697A6504',1795886587022);
CREATE TABLE _rivet_runtime (id INTEGER PRIMARY KEY CHECK (id = 1), last_pushed_alarm INTEGER, inspector_token TEXT,
                                               queue_next_id INTEGER NOT NULL, run_wake INTEGER) WITHOUT ROWID
    ;
INSERT INTO "_rivet_runtime" VALUES(1,1798758000000,'UWOUV9dzGr6eAp8eDPr4d0FmN4xpxGz_bCSSEmZxwSQ',3,NULL);
CREATE TABLE _rivet_schedule_events (
        event_id TEXT PRIMARY KEY, trigger_at INTEGER NOT NULL, action TEXT NOT NULL, args BLOB, kind INTEGER NOT NULL,
        cron_expression TEXT, timezone TEXT, interval_ms INTEGER, last_started_at INTEGER, max_history INTEGER NOT NULL) WITHOUT ROWID
    ;
INSERT INTO "_rivet_schedule_events" VALUES('ca29a775-e462-4e47-bd16-64701928b858',4102444800000,'ring',X'81656C61746572',0,NULL,NULL,NULL,NULL,100);
INSERT INTO "_rivet_schedule_events" VALUES('often',2111246592168,'ring',X'816673656C646F6D',2,NULL,NULL,315360000000,1795886592024,100);
INSERT INTO "_rivet_schedule_events" VALUES('yearly',1798758000000,'ring',X'816479656172',1,'0 0 1 1 *','Europe/Berlin',NULL,NULL,100);
CREATE TABLE _rivet_schedule_history (
        id INTEGER PRIMARY KEY, schedule_id TEXT NOT NULL, action TEXT NOT NULL, scheduled_at INTEGER NOT NULL, fired_at INTEGER NOT NULL,
        finished_at INTEGER, result INTEGER NOT NULL, error_group TEXT, error_code TEXT, error_message TEXT,
        error_metadata BLOB) WITHOUT ROWID
    ;
INSERT INTO "_rivet_schedule_history" VALUES(1,'often','ring',1795886592023,1795886592024,1795886592028,1,NULL,NULL,NULL,NULL);
CREATE TABLE _rivet_user_kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO "_rivet_user_kv" VALUES(X'0400FF',X'0102');
INSERT INTO "_rivet_user_kv" VALUES(X'04636F6C6F72',X'677265656E');
CREATE TABLE _rivet_wf_kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE words (word TEXT);
INSERT INTO "words" VALUES('alpha');
INSERT INTO "words" VALUES('omega');
CREATE INDEX _rivet_queue_name ON _rivet_queue (name, id);
COMMIT;
