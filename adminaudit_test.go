package auth_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

// auditEntry is an entry of the audit log on the wire.
type auditEntry struct {
	ID      string `json:"id"`
	Payload struct {
		Action    string         `json:"action"`
		ActorID   string         `json:"actor_id"`
		Name      string         `json:"actor_name"`
		Username  string         `json:"actor_username"`
		ViaSSO    *bool          `json:"actor_via_sso"`
		LogType   string         `json:"log_type"`
		UserAgent string         `json:"user_agent"`
		RequestID string         `json:"request_id"`
		Traits    map[string]any `json:"traits"`
	} `json:"payload"`
	CreatedAt time.Time `json:"created_at"`
	IP        string    `json:"ip_address"`
}

func (d *door) audit(query string) (answer, []auditEntry) {
	d.t.Helper()
	var out []auditEntry
	a := d.send("GET", "/admin/audit"+query, nil, d.service()).want(http.StatusOK, &out)
	return a, out
}

func actions(entries []auditEntry) []string {
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Payload.Action)
	}
	return out
}

func TestAuditLogTellsWhatHappened(t *testing.T) {
	d := open(t, auth.WithRequestIDHeader("X-Request-ID"), auth.WithMailFrequency(0))
	_, none := d.audit("")
	require.Equal(t, []auditEntry{}, none, "an empty log is a list")

	who := []header{{"User-Agent", "a browser"}, {"X-Request-ID", "request-1"}}
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword, "data": map[string]any{"full_name": "Ada L."}}, who...).want(200, nil)
	code := d.LastMail("ada@example.com").Code()
	var first tokenAnswer
	step := func() { d.Clock.Advance(time.Second) }
	step()
	d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": code}).want(200, &first)
	step()
	session := d.signIn("ada@example.com")
	step()
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": session.RefreshToken}).want(200, nil)
	step()
	d.send("PUT", "/user", map[string]any{"password": "another good password"}, bearer(session.AccessToken)).want(200, nil)
	step()
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(200, nil)
	step()
	d.send("GET", "/reauthenticate", nil, bearer(session.AccessToken)).want(200, nil)
	step()
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(200, nil)
	step()
	d.post("/logout", nil, bearer(session.AccessToken)).want(204, nil)
	step()
	made := d.managed(map[string]any{"email": "grace@example.com"})
	id := made["id"].(string)
	step()
	d.send("PUT", "/admin/users/"+id, map[string]any{"role": "editor"}, d.service()).want(200, nil)
	step()
	d.send("DELETE", "/admin/users/"+id, nil, d.service()).want(200, nil)
	step()
	d.post("/invite", map[string]any{"email": "new@example.com"}, d.service()).want(200, nil)

	_, all := d.audit("?per_page=1000")
	require.Subset(t, actions(all), []string{
		"user_invited", "user_deleted", "user_modified", "user_signedup", "logout", "user_repeated_signup", "user_reauthenticate_requested",
		"user_recovery_requested", "user_updated_password", "token_revoked", "token_refreshed", "login", "user_confirmation_requested",
	})
	require.IsDecreasing(t, times(all), "newest first")
	logTypes := map[string]string{
		"login": "account", "logout": "account", "user_signedup": "team", "user_invited": "team", "user_deleted": "team", "token_revoked": "token", "token_refreshed": "token",
		"user_modified": "user", "user_recovery_requested": "user", "user_reauthenticate_requested": "user", "user_confirmation_requested": "user", "user_repeated_signup": "user", "user_updated_password": "user",
	}
	for _, e := range all {
		require.Equal(t, logTypes[e.Payload.Action], e.Payload.LogType, e.Payload.Action)
		require.NotNil(t, e.Payload.ViaSSO)
		require.NotEmpty(t, e.Payload.RequestID)
		require.Equal(t, "127.0.0.1", e.IP)
	}

	asked := all[len(all)-1]
	require.Equal(t, "user_confirmation_requested", asked.Payload.Action)
	require.Equal(t, "ada@example.com", asked.Payload.Username)
	require.Equal(t, "Ada L.", asked.Payload.Name)
	require.Equal(t, first.User["id"], asked.Payload.ActorID)
	require.Equal(t, "a browser", asked.Payload.UserAgent)
	require.Equal(t, "request-1", asked.Payload.RequestID)
	require.Equal(t, "email", asked.Payload.Traits["provider"])

	_, deleted := d.audit("?query=action:user_deleted")
	require.Len(t, deleted, 1)
	require.Equal(t, uuid.Nil.String(), deleted[0].Payload.ActorID)
	require.Equal(t, "service_role", deleted[0].Payload.Username)
	require.Equal(t, map[string]any{"user_id": id, "user_email": "grace@example.com", "user_phone": ""}, deleted[0].Payload.Traits)
}

func times(entries []auditEntry) []int64 {
	out := []int64{}
	last := int64(0)
	for _, e := range entries {
		if n := e.CreatedAt.UnixMicro(); n != last { // several are of one transaction
			out = append(out, n)
			last = n
		}
	}
	return out
}

func TestAuditLogPagesAndQueries(t *testing.T) {
	d := open(t)
	for _, name := range []string{"ada", "grace", "joan"} {
		d.Clock.Advance(time.Second)
		d.post("/signup", map[string]any{"email": name + "@example.com", "password": goodPassword, "data": map[string]any{"full_name": "Dr. " + name}}).want(200, nil)
	}
	query := func(q string) []auditEntry {
		_, out := d.audit("?query=" + url.QueryEscape(q))
		return out
	}
	a, page := d.audit("?page=2&per_page=1")
	require.Len(t, page, 1)
	require.Equal(t, "grace@example.com", page[0].Payload.Username)
	require.Equal(t, "3", a.Header.Get("X-Total-Count"))
	require.Equal(t, `</auth/admin/audit?page=3&per_page=1>; rel="next", </auth/admin/audit?page=3&per_page=1>; rel="last"`, a.Header.Get("Link"))

	require.Len(t, query("author:GRACE@"), 1, "by address")
	require.Len(t, query("author:dr. joan"), 1, "by name")
	require.Len(t, query("action:CONFIRMATION"), 3)
	require.Len(t, query("type:user"), 3)
	require.Empty(t, query("type:team"))
	require.Empty(t, query("author:%"), "wildcards are letters")
	require.Empty(t, query("author:nobody"))
	require.Len(t, query("author:"), 3, "nothing selects nothing away")
	for _, bad := range []string{"ada", "actor:ada", ":ada", "author:\x00", "action:\xff"} {
		d.send("GET", "/admin/audit?query="+url.QueryEscape(bad), nil, d.service(), versioned()).wantFault(400, "validation_failed")
	}
	d.send("GET", "/admin/audit?per_page=0", nil, d.service(), versioned()).wantFault(400, "validation_failed")
}

func TestAuditIsPartOfTheChange(t *testing.T) {
	d := open(t)
	d.managed(map[string]any{"email": "ada@example.com"})
	_, before := d.audit("")
	d.post("/admin/users", map[string]any{"email": "ada@example.com"}, d.service(), versioned()).wantFault(422, "email_exists")
	d.send("PUT", "/admin/users/"+uuid.NewString(), map[string]any{}, d.service(), versioned()).wantFault(404, "user_not_found")
	_, after := d.audit("")
	require.Len(t, after, len(before), "what was undone left no entry")
}

func TestWithoutAuditLog(t *testing.T) {
	d := open(t, auth.WithoutAuditLog())
	d.signUp("ada@example.com")
	_, entries := d.audit("")
	require.Empty(t, entries)
}

func TestAuditRetention(t *testing.T) {
	d := open(t, auth.WithAuditRetention(time.Hour))
	d.managed(map[string]any{"email": "ada@example.com"})
	d.Clock.Advance(50 * time.Minute)
	d.managed(map[string]any{"email": "grace@example.com"})
	d.Clock.Advance(20 * time.Minute)
	require.NoError(t, d.Auth.Clean(t.Context()))
	_, entries := d.audit("")
	require.Len(t, entries, 1)
	require.Equal(t, "grace@example.com", entries[0].Payload.Traits["user_email"])
}
