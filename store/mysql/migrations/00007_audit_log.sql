-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {audit_log} (
    id             char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    action         text NOT NULL,
    log_type       text NOT NULL,
    actor_id       char(36) CHARACTER SET ascii COLLATE ascii_bin,
    actor_username text NOT NULL,
    actor_name     text NOT NULL,
    search_author  mediumtext NOT NULL,
    actor_via_sso  boolean NOT NULL,
    traits         longtext,
    ip             text NOT NULL,
    user_agent     text NOT NULL,
    request_id     text NOT NULL,
    created_at     datetime(6) NOT NULL,
    KEY audit_log_created (created_at, id),
    KEY audit_log_actor (actor_id, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
