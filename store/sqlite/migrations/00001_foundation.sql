-- +goose Up
-- Times are text in UTC, "2006-01-02 15:04:05.000000", so that they sort by bytes and
-- SQLite's date functions understand them. Ids are text, 36 characters.

CREATE TABLE {users} (
    id                       TEXT NOT NULL PRIMARY KEY,
    audience                 TEXT NOT NULL,
    role                     TEXT NOT NULL,
    email                    TEXT,
    email_key                TEXT,
    email_confirmed_at       TEXT,
    phone                    TEXT,
    phone_key                TEXT,
    phone_confirmed_at       TEXT,
    password_hash            TEXT NOT NULL,
    new_email                TEXT NOT NULL,
    email_change_side        TEXT NOT NULL,
    new_phone                TEXT NOT NULL,
    invited_at               TEXT,
    confirmation_sent_at     TEXT,
    recovery_sent_at         TEXT,
    email_change_sent_at     TEXT,
    phone_change_sent_at     TEXT,
    reauthentication_sent_at TEXT,
    last_sign_in_at          TEXT,
    app_metadata             TEXT NOT NULL,
    user_metadata            TEXT NOT NULL,
    search_name              TEXT NOT NULL,
    is_anonymous             INTEGER NOT NULL,
    is_sso                   INTEGER NOT NULL,
    banned_until             TEXT,
    deleted_at               TEXT,
    created_at               TEXT NOT NULL,
    updated_at               TEXT,
    version                  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX {users_email} ON {users} (audience, email_key);
CREATE UNIQUE INDEX {users_phone} ON {users} (audience, phone_key);
CREATE INDEX {users_created} ON {users} (created_at, id);
CREATE INDEX {users_audience_created} ON {users} (audience, created_at, id);

CREATE TABLE {identities} (
    id              TEXT NOT NULL PRIMARY KEY,
    user_id         TEXT NOT NULL REFERENCES {users} (id) ON DELETE CASCADE,
    provider        TEXT NOT NULL,
    issuer          TEXT NOT NULL,
    subject         TEXT NOT NULL,
    email           TEXT,
    data            TEXT NOT NULL,
    last_sign_in_at TEXT,
    created_at      TEXT NOT NULL,
    updated_at      TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX {identities_subject} ON {identities} (issuer, subject);
CREATE INDEX {identities_user} ON {identities} (user_id, created_at);
CREATE INDEX {identities_email} ON {identities} (email);

CREATE TABLE {sessions} (
    id           TEXT NOT NULL PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES {users} (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    aal          TEXT NOT NULL,
    amr          TEXT NOT NULL,
    factor_id    TEXT,
    tag          TEXT NOT NULL,
    user_agent   TEXT NOT NULL,
    ip           TEXT NOT NULL,
    refresh_key  BLOB,
    refresh_seq  INTEGER NOT NULL,
    not_after    TEXT,
    refreshed_at TEXT,
    created_at   TEXT NOT NULL,
    updated_at   TEXT,
    writes       INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX {sessions_user} ON {sessions} (user_id, created_at);
CREATE INDEX {sessions_end} ON {sessions} (not_after);

CREATE TABLE {refresh_tokens} (
    hash       TEXT NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES {sessions} (id) ON DELETE CASCADE,
    user_id    TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    expires_at TEXT,
    created_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX {refresh_tokens_session} ON {refresh_tokens} (session_id);
CREATE INDEX {refresh_tokens_user} ON {refresh_tokens} (user_id);
CREATE INDEX {refresh_tokens_created} ON {refresh_tokens} (created_at);

CREATE TABLE {one_time_tokens} (
    id              TEXT NOT NULL PRIMARY KEY,
    user_id         TEXT NOT NULL REFERENCES {users} (id) ON DELETE CASCADE,
    purpose         TEXT NOT NULL,
    recipient       TEXT NOT NULL,
    link_hash       TEXT,
    code_mac        TEXT NOT NULL,
    flow_state_id   TEXT,
    attempts        INTEGER NOT NULL,
    expires_at      TEXT,
    code_expires_at TEXT,
    created_at      TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX {one_time_tokens_purpose} ON {one_time_tokens} (user_id, purpose);
CREATE UNIQUE INDEX {one_time_tokens_link} ON {one_time_tokens} (link_hash);
CREATE INDEX {one_time_tokens_recipient} ON {one_time_tokens} (recipient, purpose, created_at);
CREATE INDEX {one_time_tokens_expiry} ON {one_time_tokens} (expires_at);

CREATE TABLE {flow_states} (
    id               TEXT NOT NULL PRIMARY KEY,
    user_id          TEXT REFERENCES {users} (id) ON DELETE CASCADE,
    method           TEXT NOT NULL,
    provider         TEXT NOT NULL,
    state_hash       TEXT,
    challenge        TEXT NOT NULL,
    challenge_method TEXT NOT NULL,
    code_hash        TEXT,
    code_issued_at   TEXT,
    redirect_to      TEXT NOT NULL,
    data             TEXT NOT NULL,
    created_at       TEXT NOT NULL,
    expires_at       TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX {flow_states_state} ON {flow_states} (state_hash);
CREATE UNIQUE INDEX {flow_states_code} ON {flow_states} (code_hash);
CREATE INDEX {flow_states_user} ON {flow_states} (user_id);
CREATE INDEX {flow_states_expiry} ON {flow_states} (expires_at);

CREATE TABLE {audit_log} (
    id             TEXT NOT NULL PRIMARY KEY,
    action         TEXT NOT NULL,
    log_type       TEXT NOT NULL,
    actor_id       TEXT,
    actor_username TEXT NOT NULL,
    actor_name     TEXT NOT NULL,
    search_author  TEXT NOT NULL,
    actor_via_sso  INTEGER NOT NULL,
    traits         TEXT,
    ip             TEXT NOT NULL,
    user_agent     TEXT NOT NULL,
    request_id     TEXT NOT NULL,
    created_at     TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX {audit_log_created} ON {audit_log} (created_at, id);
CREATE INDEX {audit_log_actor} ON {audit_log} (actor_id, created_at);

CREATE TABLE {outbox} (
    id          TEXT NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL,
    sender      TEXT NOT NULL,
    order_key   TEXT NOT NULL,
    body        BLOB,
    message_id  TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    next_at     TEXT,
    lease_until TEXT,
    lease_token TEXT,
    last_error  TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    done_at     TEXT,
    given_up    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX {outbox_owed} ON {outbox} (done_at, sender, next_at);
CREATE INDEX {outbox_order} ON {outbox} (order_key, sender, done_at);

CREATE TABLE {signing_keys} (
    id           TEXT NOT NULL PRIMARY KEY,
    algorithm    TEXT NOT NULL,
    state        TEXT NOT NULL,
    current_mark INTEGER,
    private_key  BLOB,
    public_key   BLOB,
    created_at   TEXT NOT NULL,
    activated_at TEXT,
    retired_at   TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX {signing_keys_current} ON {signing_keys} (current_mark);

CREATE TABLE {counters} (
    counter_key TEXT NOT NULL PRIMARY KEY,
    n           INTEGER NOT NULL,
    expires_at  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX {counters_expiry} ON {counters} (expires_at);

CREATE TABLE {settings} (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB
) WITHOUT ROWID;
