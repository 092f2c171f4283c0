-- +goose Up

CREATE TABLE {event_deliveries} (
    id          uuid NOT NULL PRIMARY KEY,
    endpoint    text NOT NULL,
    type        text NOT NULL,
    user_id     uuid NOT NULL,
    body        bytea,
    state       text NOT NULL,
    attempts    integer NOT NULL,
    last_status integer NOT NULL,
    last_error  text NOT NULL,
    last_at     timestamptz,
    created_at  timestamptz NOT NULL,
    done_at     timestamptz
);
CREATE INDEX event_deliveries_user ON {event_deliveries} (user_id, id);
CREATE INDEX event_deliveries_state ON {event_deliveries} (state, id);
CREATE INDEX event_deliveries_done ON {event_deliveries} (done_at);
