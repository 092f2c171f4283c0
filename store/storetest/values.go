package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// testValues writes what databases disagree on.
func testValues(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"AddressesCompareByBytes", valuesAddresses},
		{"KeysCompareByBytes", valuesKeys},
		{"Times", valuesTimes},
		{"JSON", valuesJSON},
		{"Texts", valuesTexts},
		{"LongValues", valuesLong},
		{"Bytes", valuesBytes},
	})
}

// alike gives texts that some collation takes for one: they differ in case, accent,
// width, normal form, trailing or leading space, or in runes outside of the basic plane.
func alike(base string) []string {
	return []string{
		base + "strasse", base + "Strasse", base + "STRASSE", base + "straße", base + "stráße",
		base + "strasse ", base + "strasse  ", base + "strasse\t", " " + base + "strasse",
		base + "étage", base + "e\u0301tage", base + "etage",
		base + "😀", base + "😁", base + "", base + "\u200b", base + "ａ", base + "a",
		base + "i", base + "İ", base + "ı", base + "1", base + "01", base + "1.0", base + "%", base + "_",
		base + `\`, base + `\\`, base + "'", base + `"`, base + "$1", base + "?", base + ":a",
	}
}

func valuesAddresses(t *testing.T, st store.Store) {
	ctx := t.Context()
	aud := unique("aud")
	var users []store.User
	for _, text := range alike("x") {
		u := plainUser(aud)
		u.Email, u.Phone = text, text
		check(t, st.CreateUser(ctx, u))
		users = append(users, u)
	}
	for _, u := range users {
		got, err := st.UserByEmail(ctx, aud, u.Email)
		wantRow(t, fmt.Sprintf("UserByEmail of %q", u.Email), got, err, u)
		got, err = st.UserByPhone(ctx, aud, u.Phone)
		wantRow(t, fmt.Sprintf("UserByPhone of %q", u.Phone), got, err, u)
	}
	email := unique("ann")
	for _, text := range alike(unique("aud")) {
		u := plainUser(text)
		u.Email = email
		check(t, st.CreateUser(ctx, u))
		got, err := st.UserByEmail(ctx, text, email)
		wantRow(t, fmt.Sprintf("audience %q", text), got, err, u)
		n, err := st.CountUsers(ctx, store.UserQuery{Audience: text})
		wantCount(t, fmt.Sprintf("audience %q", text), n, err, 1)
	}
	u := addUser(t, st)
	for _, text := range alike(unique("sub")) {
		i := newIdentity(u.ID)
		i.Subject, i.Email = text, text
		check(t, st.CreateIdentity(ctx, i))
		got, err := st.IdentityBySubject(ctx, i.Issuer, text)
		wantRow(t, fmt.Sprintf("subject %q", text), got, err, i)
		list, err := st.IdentitiesByEmail(ctx, text)
		wantRow(t, fmt.Sprintf("identity email %q", text), list, err, []store.Identity{i})
		i.ID, i.Issuer = uuid.New(), text
		check(t, st.CreateIdentity(ctx, i))
		got, err = st.IdentityBySubject(ctx, text, text)
		wantRow(t, fmt.Sprintf("issuer %q", text), got, err, i)
		check(t, st.DeleteIdentity(ctx, i.ID))
	}
}

func valuesKeys(t *testing.T, st store.Store) {
	ctx := t.Context()
	base := unique("k")
	s := addSession(t, st)
	for n, text := range alike(base) {
		what := fmt.Sprintf("key %q", text)
		check(t, st.PutSetting(ctx, text, []byte(text)))
		got, err := st.SettleSetting(ctx, text, []byte("another"))
		wantRow(t, what, got, err, []byte(text))
		count, _, err := st.Count(ctx, text, at(0), at(10))
		wantCount(t, what, count, err, 1)

		r := newRefreshToken(s)
		r.Hash, r.Seq = text, int64(n)
		check(t, st.CreateRefreshToken(ctx, r))
		token, err := st.RefreshToken(ctx, text)
		wantRow(t, what, token, err, r)

		f := newFlowState(uuid.Nil)
		f.StateHash, f.CodeHash = text, text
		check(t, st.CreateFlowState(ctx, f))
		flow, err := st.FlowStateByState(ctx, text)
		wantRow(t, what, flow, err, f)
		flow, err = st.FlowStateByCode(ctx, text)
		wantRow(t, what, flow, err, f)

		o := newOneTimeToken(s.UserID, uuid.Nil)
		o.LinkHash, o.Purpose = text, store.Purpose(fmt.Sprint("purpose", n))
		check(t, st.PutOneTimeToken(ctx, o))
		onetime, err := st.OneTimeTokenByLink(ctx, text)
		wantRow(t, what, onetime, err, o)

		i := owedItem(text)
		check(t, st.AddOutboxItem(ctx, i))
		due, err := st.DueOutboxItems(ctx, text, at(0), 10)
		wantRow(t, what, due, err, []store.OutboxItem{i})
		check(t, second(st.LeaseOutboxItem(ctx, i.ID, text, at(0), at(1))))
		i.LeaseToken = text + " "
		ok, err := st.SettleOutboxItem(ctx, i)
		wantDone(t, what+" as lease with a space behind", ok, err, false)
	}
}

func valuesTimes(t *testing.T, st store.Store) {
	ctx := t.Context()
	east, west := time.FixedZone("east", 5*3600+1800), time.FixedZone("west", -11*3600)
	for _, when := range []time.Time{
		base,
		base.Add(999 * time.Nanosecond),    // cut, not rounded
		base.Add(543999 * time.Nanosecond), // into the next digit neither
		base.Truncate(time.Second),
		base.Truncate(time.Second).Add(-1), // the last nanosecond of a second
		base.In(east), base.In(west), base.In(east).Add(7 * time.Nanosecond),
		time.Date(2026, 3, 29, 2, 30, 0, 1000, time.UTC), // doesn't exist in Berlin
		time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC),   // twice the same hour there
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(1970, 1, 1, 0, 0, 0, 1000, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(1901, 1, 1, 0, 0, 0, 123000, time.UTC),
		time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Now(), // with a monotonic reading
	} {
		u := newUser(unique("aud"))
		u.CreatedAt, u.UpdatedAt, u.EmailConfirmedAt, u.BannedUntil = when, when, when, when
		check(t, st.CreateUser(ctx, u))
		got, err := st.User(ctx, u.ID)
		wantRow(t, when.String(), got, err, u)
		s := newSession(u.ID)
		s.NotAfter, s.AMR = when, []store.AMR{{Method: "password", At: when.UTC().Truncate(time.Microsecond)}}
		check(t, st.CreateSession(ctx, s))
		session, err := st.Session(ctx, s.ID)
		wantRow(t, "session at "+when.String(), session, err, s)
	}

	// Times of different precision and zone are ordered by when they are.
	sender := unique("sender")
	order := []time.Time{
		base.Truncate(time.Second), base.Truncate(time.Second).Add(1000).In(west), base.Add(-1000),
		base.In(east), base.Add(1000).In(west), base.Truncate(time.Second).Add(time.Second),
	}
	var want []store.OutboxItem
	for _, when := range order {
		i := owedItem(sender)
		i.NextAt = when
		want = append(want, i)
	}
	for _, n := range []int{3, 5, 0, 2, 4, 1} {
		check(t, st.AddOutboxItem(ctx, want[n]))
	}
	got, err := st.DueOutboxItems(ctx, sender, at(1).In(west), 10)
	wantRow(t, "items in the order of their times", got, err, want)
	for n, when := range order {
		got, err := st.DueOutboxItems(ctx, sender, when.Add(999), 10) // a part of a microsecond doesn't count
		wantCount(t, "items due at "+when.String(), int64(len(got)), err, int64(n+1))
	}
}

func valuesJSON(t *testing.T, st store.Store) {
	ctx := t.Context()
	deep := strings.Repeat(`{"a":[`, 40) + `1` + strings.Repeat(`]}`, 40)
	texts := map[string]string{
		"null": `null`, "true": `true`, "false": `false`, "empty text": `""`, "empty list": `[]`, "empty object": `{}`,
		"zero": `0`, "negative": `-1`, "fraction": `0.1`, "exponent": `1e3`, "small": `1.5e-7`,
		"int53": `9007199254740993`, "int64": `9223372036854775807`, "least": `-9223372036854775808`,
		"uint64": `18446744073709551615`, "digits": `123456789012345678901234567890.123456789`, "large": `1e300`,
		"mixed": `[1,"1",true,null,{"1":1},[[]]]`, "nested": deep,
		"quotes": `"'\"\\/?$1:a%s"`, "escapes": `"\b\f\n\r\t\u001f"`, "html": `"<script>&\u003c/script>"`,
		"runes": `"zażółć 漢字 😀 \ud83d\ude00 e\u0301"`, "bidi": `"\u202e\u2028"`,
		"": `"the empty key"`, "a.b": `1`, "$[0]": `2`, "key \"'\\ 😀": `3`, "Null": `4`, "nULL": `5`,
		"order": `{"b":1,"a":2,"B":3,"":4}`, "spaces": ` { "a" : [ 1 , 2 ] } `, "time": `"2026-03-04T05:06:07.123456Z"`,
	}
	o := store.Object{}
	for k, v := range texts {
		o[k] = json.RawMessage(v)
	}
	for _, data := range []store.Object{o, {}, nil} {
		u := newUser(unique("aud"))
		u.AppMetadata, u.UserMetadata = data, data
		check(t, st.CreateUser(ctx, u))
		got, err := st.User(ctx, u.ID)
		wantRow(t, "metadata", got, err, u)
		check(t, st.UpdateUser(ctx, &got)) // what came back goes in again
		u.Version = 2
		got, err = st.User(ctx, u.ID)
		wantRow(t, "metadata written back", got, err, u)
		f := newFlowState(u.ID)
		f.Data = data
		check(t, st.CreateFlowState(ctx, f))
		flow, err := st.FlowState(ctx, f.ID)
		wantRow(t, "flow data", flow, err, f)
		i := newIdentity(u.ID)
		i.Data = data
		check(t, st.CreateIdentity(ctx, i))
		identity, err := st.IdentityBySubject(ctx, i.Issuer, i.Subject)
		wantRow(t, "identity data", identity, err, i)
	}
}

// valuesTexts: any valid text without NUL comes back as it went in.
func valuesTexts(t *testing.T, st store.Store) {
	ctx := t.Context()
	for _, text := range append(alike(""), "NULL", "null", "0", "true", "\n\r\t", "\x01\x1f\x7f", " ", "  x  ",
		"'; DROP TABLE users; --", "{}", "\ufeffx", "\U0010ffff", "\u00a0") {
		what := fmt.Sprintf("text %q", text)
		u := newUser(unique("aud"))
		u.Role, u.PasswordHash, u.NewEmail, u.NewPhone = text, text, text, text
		check(t, st.CreateUser(ctx, u))
		got, err := st.User(ctx, u.ID)
		wantRow(t, what, got, err, u)
		s := newSession(u.ID)
		s.Tag, s.UserAgent, s.AMR = text, text, []store.AMR{{Method: text, At: at(0), Provider: text}}
		check(t, st.CreateSession(ctx, s))
		session, err := st.Session(ctx, s.ID)
		wantRow(t, what, session, err, s)
		e := newAuditEntry(unique("text"))
		e.ActorName, e.UserAgent, e.RequestID = text, text, text
		check(t, st.AddAuditEntry(ctx, e))
		entries, err := st.ListAuditEntries(ctx, store.AuditQuery{ActorID: e.ActorID})
		wantRow(t, what, entries, err, []store.AuditEntry{e})
	}
}

// valuesLong: what is as long as the outside world may make it is kept whole.
func valuesLong(t *testing.T, st store.Store) {
	ctx := t.Context()
	long := func(n int, of string) string { return strings.Repeat(of, n) }
	name := long(64<<10, "x")
	u := newUser(unique("aud"))
	u.IsSSO = false
	u.Audience = unique("") + long(255-37, "a")
	u.Email = unique("") + long(255-37, "e")
	u.Phone = unique("") + long(100-37, "1")
	u.PasswordHash, u.NewEmail = long(1000, "$"), long(255, "n")
	u.AppMetadata = store.MakeObject(map[string]any{"name": name})
	u.UserMetadata = store.MakeObject(map[string]any{"name": name, "full_name": long(30_000, "é😀")})
	check(t, st.CreateUser(ctx, u))
	got, err := st.UserByEmail(ctx, u.Audience, u.Email)
	wantRow(t, "a long account", got, err, u)
	near := plainUser(u.Audience)
	near.Email = u.Email[:254] + "f"
	check(t, st.CreateUser(ctx, near))
	got, err = st.UserByEmail(ctx, u.Audience, u.Email)
	wantRow(t, "a long email beside one that differs in its last byte", got, err, u)

	wide := plainUser(u.Audience)
	wide.Email = unique("") + long(255-37, "😀")
	check(t, st.CreateUser(ctx, wide))
	got, err = st.UserByEmail(ctx, wide.Audience, wide.Email)
	wantRow(t, "a long email of wide runes", got, err, wide)

	i := newIdentity(u.ID)
	i.Issuer, i.Subject, i.Email = "https://"+unique("")+long(255-45, "i"), unique("")+long(255-37, "s"), u.Email
	i.Data = store.MakeObject(map[string]any{"name": name})
	check(t, st.CreateIdentity(ctx, i))
	identity, err := st.IdentityBySubject(ctx, i.Issuer, i.Subject)
	wantRow(t, "a long identity", identity, err, i)

	s := newSession(u.ID)
	s.UserAgent, s.Tag, s.IP = long(4000, "u"), long(255, "t"), "fe80:1234:1234:1234:1234:1234:1234:1234%enp0s31f6"
	for range 100 {
		s.AMR = append(s.AMR, store.AMR{Method: "password", At: at(0)})
	}
	check(t, st.CreateSession(ctx, s))
	session, err := st.Session(ctx, s.ID)
	wantRow(t, "a long session", session, err, s)

	f := newFlowState(u.ID)
	f.RedirectTo = "https://app.example.com/?" + long(8000, "q")
	f.Challenge = long(128, "c")
	f.Data = store.MakeObject(map[string]any{"id_token": name})
	check(t, st.CreateFlowState(ctx, f))
	flow, err := st.FlowState(ctx, f.ID)
	wantRow(t, "a long flow state", flow, err, f)

	e := newAuditEntry(unique("long"))
	e.ActorUsername, e.ActorName, e.UserAgent, e.RequestID = u.Email, long(4000, "n"), long(4000, "u"), long(255, "r")
	e.Traits = store.MakeObject(map[string]any{"name": name})
	check(t, st.AddAuditEntry(ctx, e))
	entries, err := st.ListAuditEntries(ctx, store.AuditQuery{ActorID: e.ActorID})
	wantRow(t, "a long audit entry", entries, err, []store.AuditEntry{e})

	key := unique("") + long(255-37, "k")
	n, _, err := st.Count(ctx, key, at(0), at(1))
	wantCount(t, "a long counter", n, err, 1)
}

// valuesBytes: bytes are kept as they are, NUL and what is no UTF-8 included.
func valuesBytes(t *testing.T, st store.Store) {
	ctx := t.Context()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	large := make([]byte, 300<<10)
	for i := range large {
		large[i] = byte(i * i >> 3)
	}
	for _, b := range [][]byte{every, large, {0}, []byte("\xff\xfe"), []byte(`\x41`), []byte("text"), {}, nil} {
		what := fmt.Sprintf("%d bytes", len(b))
		i := owedItem(unique("sender"))
		i.Body = b
		check(t, st.AddOutboxItem(ctx, i))
		got, err := st.OutboxItem(ctx, i.ID)
		wantRow(t, what, got, err, i)
		name := unique("setting")
		check(t, st.PutSetting(ctx, name, b))
		value, err := st.Setting(ctx, name)
		wantRow(t, what, value, err, b)
		s := newSession(addUser(t, st).ID)
		s.RefreshKey = b[:min(len(b), 64)]
		check(t, st.CreateSession(ctx, s))
		session, err := st.Session(ctx, s.ID)
		wantRow(t, what, session, err, s)
	}
}
