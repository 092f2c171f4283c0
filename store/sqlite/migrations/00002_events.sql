-- +goose Up

CREATE TABLE {event_deliveries} (
    id          TEXT NOT NULL PRIMARY KEY,
    endpoint    TEXT NOT NULL,
    type        TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    body        BLOB,
    state       TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    last_status INTEGER NOT NULL,
    last_error  TEXT NOT NULL,
    last_at     TEXT,
    created_at  TEXT NOT NULL,
    done_at     TEXT
) WITHOUT ROWID;
CREATE INDEX {event_deliveries_user} ON {event_deliveries} (user_id, id);
CREATE INDEX {event_deliveries_state} ON {event_deliveries} (state, id);
CREATE INDEX {event_deliveries_done} ON {event_deliveries} (done_at);
