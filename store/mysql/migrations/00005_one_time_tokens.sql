-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {one_time_tokens} (
    id              char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id         char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    purpose         varchar(255) NOT NULL,
    recipient       varchar(255) NOT NULL,
    link_hash       varchar(255),
    code_mac        text NOT NULL,
    flow_state_id   char(36) CHARACTER SET ascii COLLATE ascii_bin,
    attempts        int NOT NULL,
    expires_at      datetime(6),
    code_expires_at datetime(6),
    created_at      datetime(6) NOT NULL,
    UNIQUE KEY one_time_tokens_purpose (user_id, purpose),
    UNIQUE KEY one_time_tokens_link (link_hash),
    KEY one_time_tokens_recipient (recipient, purpose, created_at),
    KEY one_time_tokens_expiry (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
