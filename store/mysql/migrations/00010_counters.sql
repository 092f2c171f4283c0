-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {counters} (
    counter_key varchar(255) NOT NULL PRIMARY KEY,
    n           bigint NOT NULL,
    expires_at  datetime(6) NOT NULL,
    KEY counters_expiry (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
