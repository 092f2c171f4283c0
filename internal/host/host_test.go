package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

func object(pairs map[string]any) store.Object { return store.MakeObject(pairs) }

// TestTxIsUndoneBeforeTheHostIsAsked: what the transaction wrote isn't there while the
// host is asked, and it can write itself.
func TestTxIsUndoneBeforeTheHostIsAsked(t *testing.T) {
	s := testdb.SQLite(t)
	row := func(id uuid.UUID) store.User {
		return store.User{ID: id, Audience: "a", Email: id.String() + "@example.com", CreatedAt: time.Now(), UpdatedAt: time.Now()}
	}
	var asked, runs int
	id := uuid.New()
	steps := &host.Steps{Confirming: func(ctx context.Context, u *store.User) error {
		asked++
		_, err := s.User(ctx, u.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		u.UserMetadata.Set("seen", true)
		return s.CreateUser(ctx, row(uuid.New()))
	}}
	talk := steps.Talk()
	err := talk.Tx(t.Context(), s, func(tx store.Store) error {
		runs++
		u := row(id)
		if err := tx.CreateUser(t.Context(), u); err != nil {
			return err
		}
		u.Version = 1
		if err := talk.At(host.Confirming, &u); err != nil {
			return err
		}
		if runs == 2 {
			return store.ErrStale // run again by the store: the host isn't asked anew
		}
		return tx.UpdateUser(t.Context(), &u)
	})
	require.NoError(t, err)
	require.Equal(t, 1, asked)
	require.Equal(t, 3, runs)
	u, err := s.User(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "true", string(u.UserMetadata["seen"]))
	n, err := s.CountUsers(t.Context(), store.UserQuery{})
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
}

// TestRestlessTransaction: one whose question is another each time comes to an end.
func TestRestlessTransaction(t *testing.T) {
	s := testdb.SQLite(t)
	talk := (&host.Steps{Entering: func(context.Context, *store.User) error { return nil }}).Talk()
	err := talk.Tx(t.Context(), s, func(store.Store) error { return talk.At(host.Entering, &store.User{ID: uuid.New()}) })
	require.Error(t, err)
}

func TestNobodyIsAsked(t *testing.T) {
	var none *host.Steps
	require.False(t, none.Asks(host.Before))
	require.NoError(t, none.Created(t.Context(), nil, store.User{}))
	said, err := none.Say(t.Context(), store.User{}, "", &tokens.Claims{})
	require.NoError(t, err)
	require.Zero(t, said)
	for _, talk := range []*host.Talk{nil, none.Talk(), (&host.Steps{}).Talk()} {
		u := store.User{ID: talk.UserID()}
		for _, m := range []host.Moment{host.Before, host.Confirming, host.Entering, host.ChangingEmail} {
			require.NoError(t, talk.Ask(t.Context(), m, &u))
			require.NoError(t, talk.At(m, &u))
		}
		d, err := talk.Compared(t.Context(), u.ID, false)
		require.NoError(t, err)
		require.Zero(t, d)
		require.NoError(t, talk.Uncompared(t.Context()))
		said, err := talk.Claims(uuid.New(), u, "", &tokens.Claims{})
		require.NoError(t, err)
		require.Zero(t, said)
	}
}

func TestIDsOfATalk(t *testing.T) {
	talk := (&host.Steps{}).Talk()
	require.Equal(t, talk.UserID(), talk.UserID())
	require.Equal(t, uuid.Version(4), talk.UserID().Version())
	one, err := talk.SessionID()
	require.NoError(t, err)
	two, err := talk.SessionID()
	require.NoError(t, err)
	require.Equal(t, one, two)
	var nobody *host.Talk
	require.NotEqual(t, nobody.UserID(), nobody.UserID())
}

// TestFailures: which errors of a host flows may recognise.
func TestFailures(t *testing.T) {
	own := errors.New("own")
	for name, c := range map[string]struct {
		err  error
		is   error
		isnt []error
		code fault.Code
	}{
		"own":              {own, own, []error{store.ErrConflict}, fault.UnexpectedFailure},
		"refusal":          {fault.New("no", "No"), &fault.Error{Code: "no"}, nil, "no"},
		"wrapped refusal":  {errors.Join(own, fault.New("no", "No")), &fault.Error{Code: "no"}, nil, "no"},
		"conflict":         {store.ErrConflict, nil, []error{store.ErrConflict}, fault.UnexpectedFailure},
		"stale":            {store.ErrStale, nil, []error{store.ErrStale}, fault.UnexpectedFailure},
		"not found":        {store.ErrNotFound, nil, []error{store.ErrNotFound}, fault.UnexpectedFailure},
		"unavailable":      {store.ErrUnavailable, nil, []error{store.ErrUnavailable}, fault.UnexpectedFailure},
		"its own deadline": {context.DeadlineExceeded, nil, []error{context.DeadlineExceeded}, fault.UnexpectedFailure},
	} {
		steps := &host.Steps{Before: func(context.Context, *store.User) error { return c.err }}
		err := steps.Talk().Ask(t.Context(), host.Before, &store.User{})
		require.Error(t, err, name)
		if c.is != nil {
			require.ErrorIs(t, err, c.is, name)
		}
		for _, other := range c.isnt {
			require.NotErrorIs(t, err, other, name)
		}
		require.Equal(t, c.code, fault.CodeOf(err), name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	steps := &host.Steps{Before: func(context.Context, *store.User) error { cancel(); return own }}
	require.ErrorIs(t, steps.Talk().Ask(ctx, host.Before, &store.User{}), context.Canceled)
}

func TestReplacedMetadata(t *testing.T) {
	given := store.User{
		UserMetadata: object(map[string]any{"sub": "1", "email": "a@b", "email_verified": false, "name": "Ada"}),
		AppMetadata:  object(map[string]any{"provider": "email", "providers": []string{"email"}, "plan": "free"}),
	}
	replaced := func(own, app store.Object) store.User {
		steps := &host.Steps{Entering: func(_ context.Context, u *store.User) error { u.UserMetadata, u.AppMetadata = own, app; return nil }}
		u := given
		require.NoError(t, steps.Talk().Ask(t.Context(), host.Entering, &u))
		return u
	}
	u := replaced(object(map[string]any{"sub": "2", "x": 1}), given.AppMetadata)
	require.Equal(t, object(map[string]any{"sub": "1", "email": "a@b", "email_verified": false, "x": 1}), u.UserMetadata)
	require.Equal(t, given.AppMetadata, u.AppMetadata)
	u = replaced(nil, nil)
	require.Equal(t, object(map[string]any{"sub": "1", "email": "a@b", "email_verified": false}), u.UserMetadata)
	require.Equal(t, object(map[string]any{"provider": "email", "providers": []string{"email"}}), u.AppMetadata)
}

func TestJoin(t *testing.T) {
	var heard []string
	step := func(name string, err error) *host.Steps {
		ask := func(_ context.Context, u *store.User) error {
			heard = append(heard, name+":"+u.UserMetadata.String("by"))
			u.UserMetadata = object(map[string]any{"by": name})
			u.Email = "ignored@example.com"
			return err
		}
		return &host.Steps{
			Before: ask, Confirming: ask, Entering: ask, ChangingEmail: ask,
			PasswordVerification: func(context.Context, uuid.UUID, bool) (host.Decision, error) {
				heard = append(heard, name)
				return host.Decision{Reject: name == "rejects", Message: name}, err
			},
			Claims: func(_ context.Context, _ store.User, _ string, c *tokens.Claims) error {
				heard = append(heard, name+":"+string(c.Extra+c.AppMetadata))
				c.Extra, c.AppMetadata, c.Role = tokens.JSON(`{"by":"`+name+`"}`), tokens.JSON(`{"app":"`+name+`"}`), "x"
				return err
			},
			After: func(context.Context, store.Store, store.User) error { heard = append(heard, name); return err },
		}
	}
	run := func(s *host.Steps) []string {
		heard = nil
		talk, u, c := s.Talk(), store.User{ID: uuid.New()}, &tokens.Claims{Role: "r"}
		_ = talk.Ask(t.Context(), host.Before, &u)
		_, _ = talk.Compared(t.Context(), u.ID, true)
		said, err := s.Say(t.Context(), u, "", c)
		if said.To(c); err == nil && c.Extra != "" {
			heard = append(heard, string(c.Extra+c.AppMetadata))
		}
		require.Equal(t, "r", c.Role)
		_ = s.Created(t.Context(), nil, u)
		return heard
	}
	a, b := step("a", nil), step("b", nil)
	require.Equal(t, []string{"a:", "b:a", "a", "b", "a:", `b:{"by":"a"}{"app":"a"}`, `{"by":"b"}{"app":"b"}`, "a", "b"}, run(host.Join(time.Now, nil, a, &host.Steps{}, b)))
	no := step("no", errors.New("no"))
	require.Equal(t, []string{"no:", "no", "no:", "no"}, run(host.Join(time.Now, no, b)))
	require.Equal(t, []string{"rejects:", "b:rejects", "rejects", "rejects:", `b:{"by":"rejects"}{"app":"rejects"}`, `{"by":"b"}{"app":"b"}`, "rejects", "b"}, run(host.Join(time.Now, step("rejects", nil), b)))
	require.Empty(t, run(host.Join(time.Now)))
}

func TestCompared(t *testing.T) {
	now := time.Unix(0, 0)
	var heard []bool
	steps := &host.Steps{
		Now: func() time.Time { return now },
		PasswordVerification: func(_ context.Context, _ uuid.UUID, valid bool) (host.Decision, error) {
			heard = append(heard, valid)
			now = now.Add(20 * time.Millisecond)
			return host.Decision{Message: "x"}, nil
		},
	}
	talk, id := steps.Talk(), uuid.New()
	require.NoError(t, talk.Uncompared(t.Context()), "nothing was measured yet")
	for _, valid := range []bool{false, false, true, true} {
		d, err := talk.Compared(t.Context(), id, valid)
		require.NoError(t, err)
		require.Equal(t, "x", d.Message)
	}
	require.Equal(t, []bool{false, true}, heard)

	begun := time.Now()
	require.NoError(t, steps.Talk().Uncompared(t.Context()))
	require.GreaterOrEqual(t, time.Since(begun), 20*time.Millisecond, "unknown addresses take as long")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, steps.Talk().Uncompared(ctx), context.Canceled)
}

func sampleClaims() *tokens.Claims {
	at := time.Unix(1_800_000_000, 0).UTC()
	return &tokens.Claims{
		Issuer: "https://auth.example.com", Subject: uuid.NewString(), Audience: []string{"authenticated"}, IssuedAt: at, ExpiresAt: at.Add(time.Hour),
		Email: "ada@example.com", Role: "authenticated", AAL: "aal1", SessionID: uuid.NewString(),
		AppMetadata: `{"n":1.0,"m":{"a":[1,2]}}`, UserMetadata: `{}`, AMR: []tokens.AMR{{Method: "password", At: at}}, Extra: `{"was":1}`,
	}
}

// whole runs a hook that changes the claims as a JSON object.
func whole(t *testing.T, change func(m map[string]any)) (tokens.JSON, error) {
	t.Helper()
	c := sampleClaims()
	err := host.WholeClaims(func(_ context.Context, _ store.User, _ string, given tokens.JSON) (tokens.JSON, error) {
		var m map[string]any
		require.NoError(t, given.Decode(&m))
		require.Equal(t, []any{"authenticated"}, m["aud"], "aud is an array")
		change(m)
		return tokens.MakeJSON(m)
	})(t.Context(), store.User{}, "", c)
	want := sampleClaims()
	want.Subject, want.SessionID, want.Extra = c.Subject, c.SessionID, c.Extra
	require.Equal(t, want, c, "no other claim has changed")
	return c.Extra, err
}

// TestWholeClaimsOfMetadata: a token may tell other metadata than the account has.
func TestWholeClaimsOfMetadata(t *testing.T) {
	for name, c := range map[string]struct{ answer, app, own string }{
		"both":          {`"app_metadata":{"n":2},"user_metadata":{"x":1}`, `{"n":2}`, `{"x":1}`},
		"one":           {`"app_metadata":{"n":2}`, `{"n":2}`, `{"was":true}`},
		"none left":     {`"app_metadata":{},"user_metadata":{}`, `{}`, `{}`},
		"written anew":  {`"app_metadata":{"m":{"a":[1, 2]},"n":1},"user_metadata":{"was":true}`, `{"n":1.0,"m":{"a":[1,2]}}`, `{"was":true}`},
		"not mentioned": {`"x":1`, `{"n":1.0,"m":{"a":[1,2]}}`, `{"was":true}`},
	} {
		own := sampleClaims()
		own.UserMetadata = `{"was":true}`
		steps := &host.Steps{Claims: host.WholeClaims(func(_ context.Context, _ store.User, _ string, given tokens.JSON) (tokens.JSON, error) {
			var m map[string]json.RawMessage
			require.NoError(t, given.Decode(&m))
			delete(m, "app_metadata")
			delete(m, "user_metadata")
			rest, err := json.Marshal(m)
			return tokens.JSON(strings.TrimSuffix(string(rest), "}") + "," + c.answer + "}"), err
		})}
		// As a flow asks: within its transaction, once, and with a token made afterwards.
		talk, session, u := steps.Talk(), uuid.New(), store.User{ID: uuid.New(), AppMetadata: object(map[string]any{"n": 1})}
		var said host.Said
		require.NoError(t, talk.Tx(t.Context(), testdb.SQLite(t), func(store.Store) (err error) {
			said, err = talk.Claims(session, u, "", own)
			return err
		}), name)
		said.To(own)
		require.Equal(t, []tokens.JSON{tokens.JSON(c.app), tokens.JSON(c.own)}, []tokens.JSON{own.AppMetadata, own.UserMetadata}, name)
		require.Equal(t, object(map[string]any{"n": 1}), u.AppMetadata, name)
	}
	large := &host.Steps{Claims: func(_ context.Context, _ store.User, _ string, c *tokens.Claims) (err error) {
		c.AppMetadata, err = tokens.MakeJSON(map[string]any{"x": strings.Repeat("x", 20<<10)})
		return err
	}}
	_, err := large.Say(t.Context(), store.User{}, "", sampleClaims())
	require.Error(t, err)
}

func TestWholeClaims(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m map[string]any)
		want   string
	}{
		"the same":        {func(map[string]any) {}, `{"was":1}`},
		"more":            {func(m map[string]any) { m["tenant"] = "acme"; delete(m, "was") }, `{"tenant":"acme"}`},
		"none of its own": {func(m map[string]any) { delete(m, "was") }, ``},
		"aud as a text":   {func(m map[string]any) { m["aud"] = "authenticated" }, `{"was":1}`},
		"optional ones out": {func(m map[string]any) {
			delete(m, "iss")
			delete(m, "amr")
			delete(m, "app_metadata")
			delete(m, "user_metadata")
		}, `{"was":1}`},
		"amr as texts": {func(m map[string]any) { m["amr"] = []string{"password"} }, `{"was":1}`},
	} {
		extra, err := whole(t, c.change)
		require.NoError(t, err, name)
		if c.want == "" {
			require.Empty(t, extra, name)
			continue
		}
		require.JSONEq(t, c.want, string(extra), name)
	}
}

func TestWholeClaimsThatLie(t *testing.T) {
	for _, name := range []string{"aud", "exp", "iat", "sub", "email", "phone", "role", "aal", "session_id", "is_anonymous"} {
		_, err := whole(t, func(m map[string]any) { delete(m, name) })
		require.Equal(t, fault.UnexpectedFailure, fault.CodeOf(err), name)
		require.ErrorContains(t, err, "(root): "+name+" is required")
	}
	_, err := whole(t, func(m map[string]any) { clear(m) })
	for _, name := range []string{"aud", "exp", "is_anonymous"} {
		require.ErrorContains(t, err, name+" is required")
	}
	for name, wrong := range map[string]any{
		"aud": 1, "exp": "soon", "iat": 1.5, "sub": 1, "email": nil, "phone": false, "role": []string{}, "aal": 1, "session_id": 1, "is_anonymous": "no",
		"iss": 1, "nbf": "x", "app_metadata": []string{}, "user_metadata": "x", "amr": "password", "client_id": 1, "scope": 1,
	} {
		_, err := whole(t, func(m map[string]any) { m[name] = wrong })
		require.Equal(t, fault.UnexpectedFailure, fault.CodeOf(err), name)
		require.ErrorContains(t, err, name+": Invalid type")
	}
	for name, other := range map[string]any{
		"aud": []string{"authenticated", "admin"}, "exp": 1_900_000_000, "iat": 1, "sub": uuid.NewString(), "email": "eve@example.com", "phone": "1",
		"role": "service_role", "aal": "aal2", "session_id": uuid.NewString(), "is_anonymous": true, "iss": "https://evil.example", "nbf": 1,
		"amr":       []any{map[string]any{"method": "totp", "timestamp": 1}},
		"client_id": "x", "scope": "x",
	} {
		_, err := whole(t, func(m map[string]any) { m[name] = other })
		require.Equal(t, fault.UnexpectedFailure, fault.CodeOf(err), name)
		require.ErrorContains(t, err, name+" was changed")
	}
	for _, text := range []tokens.JSON{"", "null", "[]", "{", `"x"`} {
		err := host.WholeClaims(func(context.Context, store.User, string, tokens.JSON) (tokens.JSON, error) { return text, nil })(t.Context(), store.User{}, "", sampleClaims())
		require.Equal(t, fault.UnexpectedFailure, fault.CodeOf(err), text)
	}
	no := errors.New("no")
	err = host.WholeClaims(func(context.Context, store.User, string, tokens.JSON) (tokens.JSON, error) { return "", no })(t.Context(), store.User{}, "", sampleClaims())
	require.ErrorIs(t, err, no)
}

func TestExtraIsBounded(t *testing.T) {
	for n, ok := range map[int]bool{8 << 10: true, 20 << 10: false} {
		steps := &host.Steps{Claims: func(_ context.Context, _ store.User, _ string, c *tokens.Claims) (err error) {
			c.Extra, err = tokens.MakeJSON(map[string]any{"x": strings.Repeat("x", n)})
			return err
		}}
		_, err := steps.Say(t.Context(), store.User{}, "", sampleClaims())
		require.Equal(t, ok, err == nil, n)
	}
}

// FuzzWholeClaims: whatever a hook answers, the token's reserved claims stay.
func FuzzWholeClaims(f *testing.F) {
	own := sampleClaims()
	good, err := own.MarshalJSON()
	require.NoError(f, err)
	f.Add(string(good))
	f.Add(`{"aud":null}`)
	f.Add(strings.Replace(string(good), `"role":"authenticated"`, `"role":"authenticated","r\u006fle":"service_role"`, 1))
	f.Add(strings.Replace(string(good), `{`, `{"role":"service_role",`, 1))
	f.Add(strings.Replace(string(good), `"exp":`, `"EXP":1,"exp":`, 1))
	f.Fuzz(func(t *testing.T, answer string) {
		c := own.Clone()
		err := host.WholeClaims(func(context.Context, store.User, string, tokens.JSON) (tokens.JSON, error) {
			return tokens.JSON(answer), nil
		})(t.Context(), store.User{}, "", c)
		if err != nil {
			require.NotEmpty(t, fault.CodeOf(err))
			return
		}
		payload, err := c.MarshalJSON()
		require.NoError(t, err)
		var issued, want map[string]any
		require.NoError(t, json.Unmarshal(payload, &issued))
		require.NoError(t, json.Unmarshal(good, &want))
		delete(want, "was")
		delete(want, "app_metadata")
		delete(want, "user_metadata")
		for name, value := range want {
			require.Equal(t, value, issued[name], name)
		}
	})
}
