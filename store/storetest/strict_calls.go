package storetest

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// Every call asks allow first and is passed on if it may be made.

func (x *strict) CreateUser(ctx context.Context, u store.User) error {
	return x.do(func() error { return x.st.CreateUser(ctx, u) })
}

func (x *strict) User(ctx context.Context, id uuid.UUID) (store.User, error) {
	return ask(x, func() (store.User, error) { return x.st.User(ctx, id) })
}

func (x *strict) UserByEmail(ctx context.Context, audience, email string) (store.User, error) {
	return ask(x, func() (store.User, error) { return x.st.UserByEmail(ctx, audience, email) })
}

func (x *strict) UserByPhone(ctx context.Context, audience, phone string) (store.User, error) {
	return ask(x, func() (store.User, error) { return x.st.UserByPhone(ctx, audience, phone) })
}

func (x *strict) UpdateUser(ctx context.Context, u *store.User) error {
	return x.do(func() error { return x.st.UpdateUser(ctx, u) })
}

func (x *strict) DeleteUser(ctx context.Context, id uuid.UUID) error {
	return x.do(func() error { return x.st.DeleteUser(ctx, id) })
}

func (x *strict) ListUsers(ctx context.Context, q store.UserQuery) ([]store.User, error) {
	return ask(x, func() ([]store.User, error) { return x.st.ListUsers(ctx, q) })
}

func (x *strict) CountUsers(ctx context.Context, q store.UserQuery) (int64, error) {
	return ask(x, func() (int64, error) { return x.st.CountUsers(ctx, q) })
}

func (x *strict) CreateIdentity(ctx context.Context, i store.Identity) error {
	return x.do(func() error { return x.st.CreateIdentity(ctx, i) })
}

func (x *strict) IdentityBySubject(ctx context.Context, issuer, subject string) (store.Identity, error) {
	return ask(x, func() (store.Identity, error) { return x.st.IdentityBySubject(ctx, issuer, subject) })
}

func (x *strict) IdentitiesOf(ctx context.Context, userID uuid.UUID) ([]store.Identity, error) {
	return ask(x, func() ([]store.Identity, error) { return x.st.IdentitiesOf(ctx, userID) })
}

func (x *strict) IdentitiesByEmail(ctx context.Context, email string) ([]store.Identity, error) {
	return ask(x, func() ([]store.Identity, error) { return x.st.IdentitiesByEmail(ctx, email) })
}

func (x *strict) UpdateIdentity(ctx context.Context, i store.Identity) error {
	return x.do(func() error { return x.st.UpdateIdentity(ctx, i) })
}

func (x *strict) DeleteIdentity(ctx context.Context, id uuid.UUID) error {
	return x.do(func() error { return x.st.DeleteIdentity(ctx, id) })
}

func (x *strict) CreateSession(ctx context.Context, s store.Session) error {
	return x.do(func() error { return x.st.CreateSession(ctx, s) })
}

func (x *strict) Session(ctx context.Context, id uuid.UUID) (store.Session, error) {
	return ask(x, func() (store.Session, error) { return x.st.Session(ctx, id) })
}

func (x *strict) SessionsOf(ctx context.Context, userID uuid.UUID) ([]store.Session, error) {
	return ask(x, func() ([]store.Session, error) { return x.st.SessionsOf(ctx, userID) })
}

func (x *strict) UpdateSession(ctx context.Context, s store.Session, fromSeq int64) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.UpdateSession(ctx, s, fromSeq) })
}

func (x *strict) DeleteSession(ctx context.Context, id uuid.UUID) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.DeleteSession(ctx, id) })
}

func (x *strict) DeleteSessionsOf(ctx context.Context, userID, except uuid.UUID) (int64, error) {
	return ask(x, func() (int64, error) { return x.st.DeleteSessionsOf(ctx, userID, except) })
}

func (x *strict) CreateRefreshToken(ctx context.Context, t store.RefreshToken) error {
	return x.do(func() error { return x.st.CreateRefreshToken(ctx, t) })
}

func (x *strict) RefreshToken(ctx context.Context, hash string) (store.RefreshToken, error) {
	return ask(x, func() (store.RefreshToken, error) { return x.st.RefreshToken(ctx, hash) })
}

func (x *strict) DeleteRefreshToken(ctx context.Context, hash string) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.DeleteRefreshToken(ctx, hash) })
}

func (x *strict) PutOneTimeToken(ctx context.Context, t store.OneTimeToken) error {
	return x.do(func() error { return x.st.PutOneTimeToken(ctx, t) })
}

func (x *strict) OneTimeTokenByLink(ctx context.Context, linkHash string) (store.OneTimeToken, error) {
	return ask(x, func() (store.OneTimeToken, error) { return x.st.OneTimeTokenByLink(ctx, linkHash) })
}

func (x *strict) OneTimeTokenOf(ctx context.Context, userID uuid.UUID, p store.Purpose) (store.OneTimeToken, error) {
	return ask(x, func() (store.OneTimeToken, error) { return x.st.OneTimeTokenOf(ctx, userID, p) })
}

func (x *strict) OneTimeTokensTo(ctx context.Context, recipient string, p store.Purpose) ([]store.OneTimeToken, error) {
	return ask(x, func() ([]store.OneTimeToken, error) { return x.st.OneTimeTokensTo(ctx, recipient, p) })
}

func (x *strict) CountAttempt(ctx context.Context, id uuid.UUID, limit int) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.CountAttempt(ctx, id, limit) })
}

func (x *strict) TakeOneTimeToken(ctx context.Context, id uuid.UUID) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.TakeOneTimeToken(ctx, id) })
}

func (x *strict) DeleteOneTimeTokens(ctx context.Context, userID uuid.UUID, p ...store.Purpose) error {
	return x.do(func() error { return x.st.DeleteOneTimeTokens(ctx, userID, p...) })
}

func (x *strict) CreateFlowState(ctx context.Context, f store.FlowState) error {
	return x.do(func() error { return x.st.CreateFlowState(ctx, f) })
}

func (x *strict) FlowState(ctx context.Context, id uuid.UUID) (store.FlowState, error) {
	return ask(x, func() (store.FlowState, error) { return x.st.FlowState(ctx, id) })
}

func (x *strict) FlowStateByState(ctx context.Context, stateHash string) (store.FlowState, error) {
	return ask(x, func() (store.FlowState, error) { return x.st.FlowStateByState(ctx, stateHash) })
}

func (x *strict) FlowStateByCode(ctx context.Context, codeHash string) (store.FlowState, error) {
	return ask(x, func() (store.FlowState, error) { return x.st.FlowStateByCode(ctx, codeHash) })
}

func (x *strict) IssueCode(ctx context.Context, f store.FlowState) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.IssueCode(ctx, f) })
}

func (x *strict) DeleteCodesOf(ctx context.Context, userID uuid.UUID) error {
	return x.do(func() error { return x.st.DeleteCodesOf(ctx, userID) })
}

func (x *strict) TakeFlowState(ctx context.Context, id uuid.UUID) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.TakeFlowState(ctx, id) })
}

func (x *strict) AddAuditEntry(ctx context.Context, e store.AuditEntry) error {
	return x.do(func() error { return x.st.AddAuditEntry(ctx, e) })
}

func (x *strict) ListAuditEntries(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, error) {
	return ask(x, func() ([]store.AuditEntry, error) { return x.st.ListAuditEntries(ctx, q) })
}

func (x *strict) CountAuditEntries(ctx context.Context, q store.AuditQuery) (int64, error) {
	return ask(x, func() (int64, error) { return x.st.CountAuditEntries(ctx, q) })
}

func (x *strict) AddOutboxItem(ctx context.Context, i store.OutboxItem) error {
	return x.do(func() error { return x.st.AddOutboxItem(ctx, i) })
}

func (x *strict) OutboxItem(ctx context.Context, id uuid.UUID) (store.OutboxItem, error) {
	return ask(x, func() (store.OutboxItem, error) { return x.st.OutboxItem(ctx, id) })
}

func (x *strict) DueOutboxItems(ctx context.Context, sender string, now time.Time, limit int) ([]store.OutboxItem, error) {
	return ask(x, func() ([]store.OutboxItem, error) { return x.st.DueOutboxItems(ctx, sender, now, limit) })
}

func (x *strict) LeaseOutboxItem(ctx context.Context, id uuid.UUID, token string, now, until time.Time) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.LeaseOutboxItem(ctx, id, token, now, until) })
}

func (x *strict) SettleOutboxItem(ctx context.Context, i store.OutboxItem) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.SettleOutboxItem(ctx, i) })
}

func (x *strict) DeleteOutboxItem(ctx context.Context, id uuid.UUID) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.DeleteOutboxItem(ctx, id) })
}

func (x *strict) OwedBySender(ctx context.Context) ([]store.OutboxDebt, error) {
	return ask(x, func() ([]store.OutboxDebt, error) { return x.st.OwedBySender(ctx) })
}

func (x *strict) YoungestOwed(ctx context.Context, sender, key string) (store.OutboxItem, error) {
	return ask(x, func() (store.OutboxItem, error) { return x.st.YoungestOwed(ctx, sender, key) })
}

func (x *strict) PostponeOutboxItem(ctx context.Context, id uuid.UUID, from, to time.Time) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.PostponeOutboxItem(ctx, id, from, to) })
}

func (x *strict) ReleaseOutboxItem(ctx context.Context, sender, key string, now time.Time) error {
	return x.do(func() error { return x.st.ReleaseOutboxItem(ctx, sender, key, now) })
}

func (x *strict) AddEventDelivery(ctx context.Context, d store.EventDelivery) error {
	return x.do(func() error { return x.st.AddEventDelivery(ctx, d) })
}

func (x *strict) EventDelivery(ctx context.Context, id uuid.UUID) (store.EventDelivery, error) {
	return ask(x, func() (store.EventDelivery, error) { return x.st.EventDelivery(ctx, id) })
}

func (x *strict) NoteEventAttempt(ctx context.Context, d store.EventDelivery) error {
	return x.do(func() error { return x.st.NoteEventAttempt(ctx, d) })
}

func (x *strict) ReopenEventDelivery(ctx context.Context, id uuid.UUID) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.ReopenEventDelivery(ctx, id) })
}

func (x *strict) ListEventDeliveries(ctx context.Context, q store.EventQuery) ([]store.EventDelivery, error) {
	return ask(x, func() ([]store.EventDelivery, error) { return x.st.ListEventDeliveries(ctx, q) })
}

func (x *strict) CreateSigningKey(ctx context.Context, k store.SigningKey) error {
	return x.do(func() error { return x.st.CreateSigningKey(ctx, k) })
}

func (x *strict) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	return ask(x, func() ([]store.SigningKey, error) { return x.st.SigningKeys(ctx) })
}

func (x *strict) MoveSigningKey(ctx context.Context, id string, from, to store.KeyState, at time.Time) (bool, error) {
	return ask(x, func() (bool, error) { return x.st.MoveSigningKey(ctx, id, from, to, at) })
}

func (x *strict) Count(ctx context.Context, key string, now, expires time.Time) (n int64, until time.Time, err error) {
	if err := x.allow(); err != nil {
		return 0, time.Time{}, err
	}
	return x.st.Count(ctx, key, now, expires)
}

func (x *strict) Counted(ctx context.Context, key string, now time.Time) (n int64, until time.Time, err error) {
	if err := x.allow(); err != nil {
		return 0, time.Time{}, err
	}
	return x.st.Counted(ctx, key, now)
}

func (x *strict) DropCounter(ctx context.Context, key string) error {
	return x.do(func() error { return x.st.DropCounter(ctx, key) })
}

func (x *strict) Setting(ctx context.Context, name string) ([]byte, error) {
	return ask(x, func() ([]byte, error) { return x.st.Setting(ctx, name) })
}

func (x *strict) PutSetting(ctx context.Context, name string, value []byte) error {
	return x.do(func() error { return x.st.PutSetting(ctx, name, value) })
}

func (x *strict) SettleSetting(ctx context.Context, name string, value []byte) ([]byte, error) {
	return ask(x, func() ([]byte, error) { return x.st.SettleSetting(ctx, name, value) })
}

func (x *strict) Purge(ctx context.Context, kind store.PurgeKind, before time.Time, limit int) (int64, error) {
	return ask(x, func() (int64, error) { return x.st.Purge(ctx, kind, before, limit) })
}
