-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {event_deliveries} (
    id          char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    endpoint    varchar(255) NOT NULL,
    type        varchar(64) NOT NULL,
    user_id     char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body        longblob,
    state       varchar(16) NOT NULL,
    attempts    int NOT NULL,
    last_status int NOT NULL,
    last_error  text NOT NULL,
    last_at     datetime(6),
    created_at  datetime(6) NOT NULL,
    done_at     datetime(6),
    KEY event_deliveries_user (user_id, id),
    KEY event_deliveries_state (state, id),
    KEY event_deliveries_done (done_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
