-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {outbox} (
    id          char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    kind        text NOT NULL,
    sender      varchar(255) NOT NULL,
    order_key   varchar(255) NOT NULL,
    body        longblob,
    message_id  text NOT NULL,
    attempts    int NOT NULL,
    next_at     datetime(6),
    lease_until datetime(6),
    lease_token varchar(255),
    last_error  text NOT NULL,
    created_at  datetime(6) NOT NULL,
    done_at     datetime(6),
    given_up    boolean NOT NULL,
    KEY outbox_owed (done_at, sender, next_at),
    KEY outbox_order (order_key, sender, done_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
