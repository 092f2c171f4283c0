-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {signing_keys} (
    id           varchar(255) NOT NULL PRIMARY KEY,
    algorithm    varchar(255) NOT NULL,
    state        varchar(255) NOT NULL,
    current_mark smallint,
    private_key  blob,
    public_key   blob,
    created_at   datetime(6) NOT NULL,
    activated_at datetime(6),
    retired_at   datetime(6),
    UNIQUE KEY signing_keys_current (current_mark)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
