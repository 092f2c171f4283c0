package gotrue

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/admin"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

var errUserID = as(http.StatusNotFound, fault.New(fault.ValidationFailed, "user_id must be an UUID"))

// userID reads the account's id from the path.
func userID(r *http.Request) (uuid.UUID, error) {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return uuid.Nil, errUserID
	}
	return id, nil
}

// parseID reads the canonical form of a UUID and no other.
func parseID(s string) (uuid.UUID, error) {
	if len(s) != 36 {
		return uuid.Nil, errUserID
	}
	return uuid.Parse(s)
}

// adminUserBody is an account that an administrator makes or changes.
type adminUserBody struct {
	ID           string       `json:"id"`
	Audience     string       `json:"aud"`
	Role         string       `json:"role"`
	Email        string       `json:"email"`
	Phone        string       `json:"phone"`
	Password     *string      `json:"password"`
	PasswordHash string       `json:"password_hash"`
	EmailConfirm bool         `json:"email_confirm"`
	PhoneConfirm bool         `json:"phone_confirm"`
	UserMetadata store.Object `json:"user_metadata"`
	AppMetadata  store.Object `json:"app_metadata"`
	BanDuration  string       `json:"ban_duration"`
}

// ban reads how long the account is banned; nil if the body doesn't say.
func (b adminUserBody) ban(now time.Time) (*time.Time, error) {
	switch b.BanDuration {
	case "":
		return nil, nil //nolint:nilnil // no ban is asked for, and none is wrong
	case "none":
		return &time.Time{}, nil
	}
	d, err := time.ParseDuration(b.BanDuration)
	if err != nil {
		return nil, fault.New(fault.ValidationFailed, "invalid format for ban duration: %v", err)
	}
	until := now.Add(d)
	return &until, nil
}

func (d *Dialect) createUser() endpoint.Func {
	parse := func(r *http.Request) (q by[admin.Draft], err error) {
		if q.who, err = d.admin(r); err != nil {
			return q, err
		}
		var b adminUserBody
		if err := endpoint.Decode(r, &b); err != nil {
			return q, err
		}
		if id := r.PathValue("id"); id != "" {
			b.ID = id
		}
		q.q, err = d.draft(r, b)
		return q, err
	}
	act := func(ctx context.Context, q by[admin.Draft]) (user.Account, error) {
		return d.Admin.Create(ctx, q.who, q.q)
	}
	return with(endpoint.Of(parse, act, writeUser), map[fault.Code]int{fault.UserAlreadyExists: http.StatusUnprocessableEntity})
}

func (d *Dialect) draft(r *http.Request, b adminUserBody) (admin.Draft, error) {
	out := admin.Draft{
		Audience: b.Audience, Role: b.Role, Email: b.Email, Phone: b.Phone, PasswordHash: b.PasswordHash,
		EmailConfirmed: b.EmailConfirm, PhoneConfirmed: b.PhoneConfirm, UserMetadata: b.UserMetadata, AppMetadata: b.AppMetadata,
	}
	if out.Audience == "" {
		out.Audience = d.audience(r, nil)
	}
	if b.Password != nil {
		out.Password = *b.Password
	}
	if b.ID != "" {
		id, err := parseID(b.ID)
		if err != nil {
			return out, fault.New(fault.ValidationFailed, "ID must conform to the uuid v4 format")
		}
		if id == uuid.Nil {
			return out, fault.New(fault.ValidationFailed, "ID cannot be a nil uuid")
		}
		out.ID = id
	}
	until, err := b.ban(d.Sessions.Now())
	if until != nil {
		out.BannedUntil = *until
	}
	return out, err
}

// adminByID is an administrator's request about one account.
type adminByID[Q any] struct {
	by[Q]
	id uuid.UUID
}

// parseByID reads the administrator and the account's id.
func parseByID[Q any](d *Dialect, r *http.Request) (q adminByID[Q], err error) {
	if q.who, err = d.admin(r); err != nil {
		return q, err
	}
	q.id, err = userID(r)
	return q, err
}

func (d *Dialect) getUser() endpoint.Func {
	parse := func(r *http.Request) (adminByID[none], error) { return parseByID[none](d, r) }
	act := func(ctx context.Context, q adminByID[none]) (user.Account, error) { return d.Admin.Get(ctx, q.id) }
	return endpoint.Of(parse, act, writeUser)
}

func (d *Dialect) changeUser() endpoint.Func {
	parse := func(r *http.Request) (adminByID[admin.Patch], error) {
		q, err := parseByID[admin.Patch](d, r)
		if err != nil {
			return q, err
		}
		var b adminUserBody
		if err := endpoint.Decode(r, &b); err != nil {
			return q, err
		}
		q.q = admin.Patch{
			Role: &b.Role, Email: &b.Email, Phone: &b.Phone, Password: b.Password, EmailConfirmed: b.EmailConfirm,
			PhoneConfirmed: b.PhoneConfirm, UserMetadata: b.UserMetadata, AppMetadata: b.AppMetadata,
		}
		q.q.BannedUntil, err = b.ban(d.Sessions.Now())
		return q, err
	}
	act := func(ctx context.Context, q adminByID[admin.Patch]) (user.Account, error) {
		return d.Admin.Update(ctx, q.who, q.id, q.q)
	}
	return endpoint.Of(parse, act, writeUser)
}

func (d *Dialect) deleteUser() endpoint.Func {
	parse := func(r *http.Request) (adminByID[bool], error) {
		q, err := parseByID[bool](d, r)
		if err != nil {
			return q, err
		}
		body, err := endpoint.Body(r)
		if err != nil || len(body) == 0 {
			return q, err
		}
		var b struct {
			Soft bool `json:"should_soft_delete"`
		}
		err = endpoint.Unmarshal(body, &b)
		q.q = b.Soft
		return q, err
	}
	act := func(ctx context.Context, q adminByID[bool]) error { return d.Admin.Delete(ctx, q.who, q.id, q.q) }
	return endpoint.Of(parse, does(act), writeEmpty)
}

// listing is a page of a list with how many there are in all.
type listing[T any] struct {
	rows  []T
	total int64
	page  paging
	aud   string
}

// wireUsers is a page of accounts.
type wireUsers struct {
	Users    []listedUser `json:"users"`
	Audience string       `json:"aud"`
}

// listedUser is an account in a list, where identities aren't read.
type listedUser struct {
	wireUser
	Identities []wireIdentity `json:"identities"`
}

func (d *Dialect) listUsers() endpoint.Func {
	type query struct {
		store.UserQuery
		page paging
	}
	parse := func(r *http.Request) (q query, err error) {
		if _, err = d.admin(r); err != nil {
			return q, err
		}
		if q.page, err = pagingOf(r); err != nil {
			return q, err
		}
		if q.Ascending, err = ascending(r); err != nil {
			return q, err
		}
		if q.Filter = r.URL.Query().Get("filter"); !plainText(q.Filter) {
			return q, errText
		}
		q.Audience, q.Offset, q.Limit = d.audience(r, nil), q.page.offset(), q.page.limit()
		return q, nil
	}
	act := func(ctx context.Context, q query) (listing[store.User], error) {
		rows, total, err := d.Admin.List(ctx, q.UserQuery)
		return listing[store.User]{rows, total, q.page, q.Audience}, err
	}
	return endpoint.Of(parse, act, func(w http.ResponseWriter, r *http.Request, a listing[store.User]) error {
		a.page.mark(w, r, a.total)
		out := wireUsers{Users: make([]listedUser, 0, len(a.rows)), Audience: a.aud}
		for _, u := range a.rows {
			out.Users = append(out.Users, listedUser{wireUser: userJSON(user.Account{User: u})})
		}
		return endpoint.JSON(w, http.StatusOK, out)
	})
}

var errText = fault.New(fault.ValidationFailed, "Text must be valid UTF-8 without NUL characters")

// plainText reports whether a query's text can be given to a database.
func plainText(s string) bool {
	return strings.ToValidUTF8(s, "") == s && !strings.Contains(s, "\x00")
}

// wireAudit is an audit entry.
type wireAudit struct {
	ID        uuid.UUID   `json:"id"`
	Payload   wirePayload `json:"payload"`
	CreatedAt wireTime    `json:"created_at"`
	IP        string      `json:"ip_address"`
}

type wirePayload struct {
	Action    string       `json:"action"`
	ActorID   uuid.UUID    `json:"actor_id"`
	Name      string       `json:"actor_name,omitempty"`
	Username  string       `json:"actor_username"`
	ViaSSO    bool         `json:"actor_via_sso"`
	LogType   string       `json:"log_type"`
	UserAgent string       `json:"user_agent,omitempty"`
	RequestID string       `json:"request_id,omitempty"`
	Traits    store.Object `json:"traits,omitempty"`
}

func (d *Dialect) auditLog() endpoint.Func {
	type query struct {
		store.AuditQuery
		page paging
	}
	parse := func(r *http.Request) (q query, err error) {
		if _, err = d.admin(r); err != nil {
			return q, err
		}
		if q.page, err = pagingOf(r); err != nil {
			return q, err
		}
		q.Offset, q.Limit = q.page.offset(), q.page.limit()
		text := r.URL.Query().Get("query")
		if text == "" {
			return q, nil
		}
		scope, value, ok := strings.Cut(text, ":")
		switch field := map[string]*string{"author": &q.Author, "action": &q.Action, "type": &q.LogType}[scope]; {
		case !ok || field == nil:
			return q, fault.New(fault.ValidationFailed, "Invalid query scope: %s", text)
		case !plainText(value):
			return q, errText
		default:
			*field = value
		}
		return q, nil
	}
	act := func(ctx context.Context, q query) (listing[store.AuditEntry], error) {
		rows, total, err := d.Admin.AuditLog(ctx, q.AuditQuery)
		return listing[store.AuditEntry]{rows: rows, total: total, page: q.page}, err
	}
	return endpoint.Of(parse, act, func(w http.ResponseWriter, r *http.Request, a listing[store.AuditEntry]) error {
		a.page.mark(w, r, a.total)
		out := make([]wireAudit, 0, len(a.rows))
		for _, e := range a.rows {
			out = append(out, wireAudit{ID: e.ID, CreatedAt: at(e.CreatedAt), IP: e.IP, Payload: wirePayload{
				Action: e.Action, ActorID: e.ActorID, Name: e.ActorName, Username: e.ActorUsername, ViaSSO: e.ActorViaSSO,
				LogType: e.LogType, UserAgent: e.UserAgent, RequestID: e.RequestID, Traits: e.Traits,
			}})
		}
		return endpoint.JSON(w, http.StatusOK, out)
	})
}
