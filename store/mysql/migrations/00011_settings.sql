-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {settings} (
    name  varchar(255) NOT NULL PRIMARY KEY,
    value longblob
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
