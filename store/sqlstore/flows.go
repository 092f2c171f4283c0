package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

const selectFlowState = `SELECT id, user_id, method, provider, state_hash, challenge,
	challenge_method, code_hash, @code_issued_at, redirect_to, data, @created_at,
	@expires_at FROM {flow_states}`

func scanFlowState(r *sql.Rows, f *store.FlowState) error {
	return r.Scan((*ident)(&f.ID), (*ident)(&f.UserID), (*text)(&f.Method),
		(*text)(&f.Provider), (*text)(&f.StateHash), (*text)(&f.Challenge),
		(*text)(&f.ChallengeMethod), (*text)(&f.CodeHash), (*stamp)(&f.CodeIssuedAt),
		(*text)(&f.RedirectTo), (*fields)(&f.Data), (*stamp)(&f.CreatedAt), (*stamp)(&f.ExpiresAt))
}

// CreateFlowState implements store.FlowStates.
func (s *Store) CreateFlowState(ctx context.Context, f store.FlowState) error {
	data, err := object(f.Data)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "create flow state", `INSERT INTO {flow_states} (id, user_id,
		method, provider, state_hash, challenge, challenge_method, code_hash,
		code_issued_at, redirect_to, data, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.id(f.ID), s.maybeID(f.UserID), f.Method, f.Provider, maybeText(f.StateHash),
		f.Challenge, f.ChallengeMethod, maybeText(f.CodeHash), s.at(f.CodeIssuedAt),
		f.RedirectTo, data, s.at(f.CreatedAt), s.at(f.ExpiresAt))
	return err
}

// FlowState implements store.FlowStates.
func (s *Store) FlowState(ctx context.Context, id uuid.UUID) (store.FlowState, error) {
	return one(ctx, s, "read flow state", scanFlowState, selectFlowState+` WHERE id = ?`, s.id(id))
}

// FlowStateByState implements store.FlowStates.
func (s *Store) FlowStateByState(ctx context.Context, stateHash string) (store.FlowState, error) {
	return one(ctx, s, "read flow state by state", scanFlowState,
		selectFlowState+` WHERE state_hash = ?`, maybeText(stateHash))
}

// FlowStateByCode implements store.FlowStates.
func (s *Store) FlowStateByCode(ctx context.Context, codeHash string) (store.FlowState, error) {
	return one(ctx, s, "read flow state by code", scanFlowState,
		selectFlowState+` WHERE code_hash = ?`, maybeText(codeHash))
}

// IssueCode implements store.FlowStates. A flow state without a code hash is an error.
func (s *Store) IssueCode(ctx context.Context, f store.FlowState) (bool, error) {
	if f.CodeHash == "" {
		return false, errors.New("sqlstore: issue code: the code hash is empty")
	}
	data, err := object(f.Data)
	if err != nil {
		return false, err
	}
	n, err := s.exec(ctx, "issue code", `UPDATE {flow_states} SET user_id = ?, code_hash = ?,
		code_issued_at = ?, expires_at = ?, data = ? WHERE id = ? AND code_hash IS NULL`,
		s.maybeID(f.UserID), f.CodeHash, s.at(f.CodeIssuedAt), s.at(f.ExpiresAt), data, s.id(f.ID))
	return n > 0, err
}

// DeleteCodesOf implements store.FlowStates.
func (s *Store) DeleteCodesOf(ctx context.Context, userID uuid.UUID) error {
	_, err := s.exec(ctx, "delete codes", `DELETE FROM {flow_states} WHERE user_id = ? AND code_hash IS NOT NULL`, s.id(userID))
	return err
}

// TakeFlowState implements store.FlowStates.
func (s *Store) TakeFlowState(ctx context.Context, id uuid.UUID) (bool, error) {
	n, err := s.exec(ctx, "take flow state", `DELETE FROM {flow_states} WHERE id = ?`, s.id(id))
	return n > 0, err
}
