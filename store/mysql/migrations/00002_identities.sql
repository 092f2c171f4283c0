-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {identities} (
    id              char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id         char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    provider        varchar(255) NOT NULL,
    issuer          varchar(255) NOT NULL,
    subject         varchar(255) NOT NULL,
    email           varchar(255),
    data            longtext NOT NULL,
    last_sign_in_at datetime(6),
    created_at      datetime(6) NOT NULL,
    updated_at      datetime(6),
    UNIQUE KEY identities_subject (issuer, subject),
    KEY identities_user (user_id, created_at),
    KEY identities_email (email)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
