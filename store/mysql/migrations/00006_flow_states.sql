-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS {flow_states} (
    id               char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    user_id          char(36) CHARACTER SET ascii COLLATE ascii_bin,
    method           text NOT NULL,
    provider         text NOT NULL,
    state_hash       varchar(255),
    challenge        text NOT NULL,
    challenge_method text NOT NULL,
    code_hash        varchar(255),
    code_issued_at   datetime(6),
    redirect_to      text NOT NULL,
    data             longtext NOT NULL,
    created_at       datetime(6) NOT NULL,
    expires_at       datetime(6),
    UNIQUE KEY flow_states_state (state_hash),
    UNIQUE KEY flow_states_code (code_hash),
    KEY flow_states_user (user_id),
    KEY flow_states_expiry (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
