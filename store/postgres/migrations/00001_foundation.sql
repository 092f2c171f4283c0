-- +goose Up

CREATE TABLE {users} (
    id                       uuid NOT NULL PRIMARY KEY,
    audience                 text NOT NULL,
    role                     text NOT NULL,
    email                    text,
    email_key                text,
    email_confirmed_at       timestamptz,
    phone                    text,
    phone_key                text,
    phone_confirmed_at       timestamptz,
    password_hash            text NOT NULL,
    new_email                text NOT NULL,
    email_change_side        text NOT NULL,
    new_phone                text NOT NULL,
    invited_at               timestamptz,
    confirmation_sent_at     timestamptz,
    recovery_sent_at         timestamptz,
    email_change_sent_at     timestamptz,
    phone_change_sent_at     timestamptz,
    reauthentication_sent_at timestamptz,
    last_sign_in_at          timestamptz,
    app_metadata             jsonb NOT NULL,
    user_metadata            jsonb NOT NULL,
    search_name              text NOT NULL,
    is_anonymous             boolean NOT NULL,
    is_sso                   boolean NOT NULL,
    banned_until             timestamptz,
    deleted_at               timestamptz,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz,
    version                  bigint NOT NULL
);
CREATE UNIQUE INDEX users_email ON {users} (audience, email_key);
CREATE UNIQUE INDEX users_phone ON {users} (audience, phone_key);
CREATE INDEX users_created ON {users} (created_at, id);
CREATE INDEX users_audience_created ON {users} (audience, created_at, id);

CREATE TABLE {identities} (
    id              uuid NOT NULL PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES {users} (id) ON DELETE CASCADE,
    provider        text NOT NULL,
    issuer          text NOT NULL,
    subject         text NOT NULL,
    email           text,
    data            jsonb NOT NULL,
    last_sign_in_at timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz
);
CREATE UNIQUE INDEX identities_subject ON {identities} (issuer, subject);
CREATE INDEX identities_user ON {identities} (user_id, created_at);
CREATE INDEX identities_email ON {identities} (email);

CREATE TABLE {sessions} (
    id           uuid NOT NULL PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES {users} (id) ON DELETE CASCADE,
    kind         text NOT NULL,
    aal          text NOT NULL,
    amr          jsonb NOT NULL,
    factor_id    uuid,
    tag          text NOT NULL,
    user_agent   text NOT NULL,
    ip           text NOT NULL,
    refresh_key  bytea,
    refresh_seq  bigint NOT NULL,
    not_after    timestamptz,
    refreshed_at timestamptz,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz,
    writes       bigint NOT NULL
);
CREATE INDEX sessions_user ON {sessions} (user_id, created_at);
CREATE INDEX sessions_end ON {sessions} (not_after);

CREATE TABLE {refresh_tokens} (
    hash       text NOT NULL PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES {sessions} (id) ON DELETE CASCADE,
    user_id    uuid NOT NULL,
    seq        bigint NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX refresh_tokens_session ON {refresh_tokens} (session_id);
CREATE INDEX refresh_tokens_user ON {refresh_tokens} (user_id);
CREATE INDEX refresh_tokens_created ON {refresh_tokens} (created_at);

CREATE TABLE {one_time_tokens} (
    id              uuid NOT NULL PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES {users} (id) ON DELETE CASCADE,
    purpose         text NOT NULL,
    recipient       text NOT NULL,
    link_hash       text,
    code_mac        text NOT NULL,
    flow_state_id   uuid,
    attempts        integer NOT NULL,
    expires_at      timestamptz,
    code_expires_at timestamptz,
    created_at      timestamptz NOT NULL
);
CREATE UNIQUE INDEX one_time_tokens_purpose ON {one_time_tokens} (user_id, purpose);
CREATE UNIQUE INDEX one_time_tokens_link ON {one_time_tokens} (link_hash);
CREATE INDEX one_time_tokens_recipient ON {one_time_tokens} (recipient, purpose, created_at);
CREATE INDEX one_time_tokens_expiry ON {one_time_tokens} (expires_at);

CREATE TABLE {flow_states} (
    id               uuid NOT NULL PRIMARY KEY,
    user_id          uuid REFERENCES {users} (id) ON DELETE CASCADE,
    method           text NOT NULL,
    provider         text NOT NULL,
    state_hash       text,
    challenge        text NOT NULL,
    challenge_method text NOT NULL,
    code_hash        text,
    code_issued_at   timestamptz,
    redirect_to      text NOT NULL,
    data             jsonb NOT NULL,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz
);
CREATE UNIQUE INDEX flow_states_state ON {flow_states} (state_hash);
CREATE UNIQUE INDEX flow_states_code ON {flow_states} (code_hash);
CREATE INDEX flow_states_user ON {flow_states} (user_id);
CREATE INDEX flow_states_expiry ON {flow_states} (expires_at);

CREATE TABLE {audit_log} (
    id             uuid NOT NULL PRIMARY KEY,
    action         text NOT NULL,
    log_type       text NOT NULL,
    actor_id       uuid,
    actor_username text NOT NULL,
    actor_name     text NOT NULL,
    search_author  text NOT NULL,
    actor_via_sso  boolean NOT NULL,
    traits         jsonb,
    ip             text NOT NULL,
    user_agent     text NOT NULL,
    request_id     text NOT NULL,
    created_at     timestamptz NOT NULL
);
CREATE INDEX audit_log_created ON {audit_log} (created_at, id);
CREATE INDEX audit_log_actor ON {audit_log} (actor_id, created_at);

CREATE TABLE {outbox} (
    id          uuid NOT NULL PRIMARY KEY,
    kind        text NOT NULL,
    sender      text NOT NULL,
    order_key   text NOT NULL,
    body        bytea,
    message_id  text NOT NULL,
    attempts    integer NOT NULL,
    next_at     timestamptz,
    lease_until timestamptz,
    lease_token text,
    last_error  text NOT NULL,
    created_at  timestamptz NOT NULL,
    done_at     timestamptz,
    given_up    boolean NOT NULL
);
CREATE INDEX outbox_owed ON {outbox} (done_at, sender, next_at);
CREATE INDEX outbox_order ON {outbox} (order_key, sender, done_at);

CREATE TABLE {signing_keys} (
    id           text NOT NULL PRIMARY KEY,
    algorithm    text NOT NULL,
    state        text NOT NULL,
    current_mark smallint,
    private_key  bytea,
    public_key   bytea,
    created_at   timestamptz NOT NULL,
    activated_at timestamptz,
    retired_at   timestamptz
);
CREATE UNIQUE INDEX signing_keys_current ON {signing_keys} (current_mark);

CREATE TABLE {counters} (
    counter_key text NOT NULL PRIMARY KEY,
    n           bigint NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX counters_expiry ON {counters} (expires_at);

CREATE TABLE {settings} (
    name  text NOT NULL PRIMARY KEY,
    value bytea
);
