-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {refresh_tokens} (
    hash       varchar(255) NOT NULL PRIMARY KEY,
    session_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id    char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    seq        bigint NOT NULL,
    expires_at datetime(6),
    created_at datetime(6) NOT NULL,
    KEY refresh_tokens_session (session_id),
    KEY refresh_tokens_user (user_id),
    KEY refresh_tokens_created (created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
