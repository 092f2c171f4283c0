-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {sessions} (
    id           char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id      char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind         text NOT NULL,
    aal          text NOT NULL,
    amr          longtext NOT NULL,
    factor_id    char(36) CHARACTER SET ascii COLLATE ascii_bin,
    tag          text NOT NULL,
    user_agent   text NOT NULL,
    ip           text NOT NULL,
    refresh_key  blob,
    refresh_seq  bigint NOT NULL,
    not_after    datetime(6),
    refreshed_at datetime(6),
    created_at   datetime(6) NOT NULL,
    updated_at   datetime(6),
    writes       bigint NOT NULL,
    KEY sessions_user (user_id, created_at),
    KEY sessions_end (not_after)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
