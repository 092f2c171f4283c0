package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
	"github.com/truekeel/auth/internal/smtptest"
	"github.com/truekeel/auth/mail"
)

func TestMailsHaveBothForms(t *testing.T) {
	d, service := openAdmin(t, auth.WithNotifications(mail.PasswordChanged, mail.EmailChanged), auth.WithMailFrequency(0))
	in := d.signUp("ada@example.com")
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	d.send(http.MethodGet, "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.send(http.MethodPut, "/user", map[string]any{"password": "an even better one"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.send(http.MethodPut, "/user", map[string]any{"email": "new@example.com"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.post("/invite", map[string]any{"email": "bob@example.com"}, service).want(http.StatusOK, nil)
	d.Deliver()
	kinds := map[mail.Kind]bool{}
	for _, m := range d.Mail.Messages() {
		kinds[m.Kind] = true
		if m.Kind == mail.AccountExists {
			require.NotContains(t, m.Text, "token=", "it proves nothing")
		}
		require.NotEmpty(t, m.Subject, m.Kind)
		require.NotEmpty(t, m.Text, m.Kind)
		require.Contains(t, m.HTML, "<html", m.Kind)
		require.NotEmpty(t, m.MessageID)
		info, _ := m.Kind.Info()
		if info.LinkType != "" {
			require.Equal(t, info.LinkType, linkParams(t, m.Link()).Get("type"))
			require.Contains(t, m.HTML, strings.ReplaceAll(m.Link(), "&", "&amp;"))
		}
		if info.Code {
			require.Contains(t, m.HTML, m.Code())
		}
	}
	require.Len(t, kinds, 8)
	require.True(t, kinds[mail.AccountExists])
}

func TestMailLocale(t *testing.T) {
	for _, c := range []struct{ metadata, header, want string }{
		{"", "", "en"}, {"", "de-AT,de;q=0.9,en;q=0.8", "de"}, {"fr", "de", "fr"}, {"fr-CA", "", "fr"}, {"ja", "", "ja"},
		{"", "xx", "en"}, {"", strings.Repeat("a,", 5000), "en"}, {"../../etc/passwd", "de", "en"}, {"pt-BR", "", "pt"}, {"es", "", "es"},
	} {
		d := open(t)
		body := map[string]any{"email": "ada@example.com", "password": goodPassword}
		if c.metadata != "" {
			body["data"] = map[string]any{"locale": c.metadata}
		}
		d.post("/signup", body, header{"Accept-Language", c.header}).want(http.StatusOK, nil)
		m := d.LastMail("ada@example.com")
		require.Equal(t, c.want, m.Locale, "%+v", c)
		require.NotEmpty(t, m.Link())
		require.NotEmpty(t, m.Code())
	}
	// A default other than English.
	d := open(t, auth.WithMailLocale("ja"))
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	require.Equal(t, "ja", d.LastMail("ada@example.com").Locale)
	// A locale that is no text is none.
	d.post("/signup", map[string]any{"email": "bob@example.com", "password": goodPassword, "data": map[string]any{"locale": []int{1}}}).want(http.StatusOK, nil)
	require.Equal(t, "ja", d.LastMail("bob@example.com").Locale)
}

// What people say of themselves is text, in the subject and in both forms, over a real
// connection too.
func TestMailInjection(t *testing.T) {
	server := smtptest.New(t)
	files := fstest.MapFS{
		"confirmation.subject": {Data: []byte("Welcome {{ .Data.name }}")},
		"confirmation.html":    {Data: []byte(`<p>Dear {{ .Data.name }}, <a href="{{ .ConfirmationURL }}" title="{{ .Data.name }}">confirm</a></p>`)},
		"confirmation.txt":     {Data: []byte("Dear {{ .Data.name }}\n{{ .ConfirmationURL }}\n")},
	}
	d := open(t, auth.WithMailTemplates(files), auth.WithMailer(mail.SMTP{Host: server.Host(), Port: server.Port(), From: "auth@example.com"}))
	const name = "Eve\r\nBcc: victim@example.com\r\n\r\n<a href=\"https://evil.example\">click</a>\"><script>alert(1)</script>"
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword, "data": map[string]any{"name": name}}).want(http.StatusOK, nil)
	d.post("/signup", map[string]any{"email": "bob@example.com", "password": goodPassword, "data": map[string]any{"name": strings.Repeat("x", 4<<10)}}).want(http.StatusOK, nil)
	d.Deliver()
	require.Len(t, server.Received(), 2)
	for _, m := range server.Received() {
		require.Len(t, m.To, 1)
		require.Empty(t, m.Header("Bcc"))
		head, body, _ := strings.Cut(string(m.Data), "\r\n\r\n")
		require.NotContains(t, head, "\nBcc:")
		_, html, ok := strings.Cut(body, "text/html")
		require.True(t, ok)
		require.NotContains(t, html, "<script>")
		require.NotContains(t, html, `<a href=3D"https://evil.example"`)
		require.Less(t, len(m.Header("Subject")), 2000)
	}
}

// recorder is a host that sends mails itself.
type recorder struct {
	mu     sync.Mutex
	events []mail.Event
	err    error
}

func (r *recorder) send(_ context.Context, e mail.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return r.err
}

func (r *recorder) taken() []mail.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events
}

// openWithoutMailer opens a door that has no mailer but what the options bring.
func openWithoutMailer(t *testing.T, opts ...auth.Option) *door {
	t.Helper()
	clock := authtest.NewClock()
	a, err := auth.New(append([]auth.Option{auth.WithStore(fresh(t)), auth.WithClock(clock.Now), auth.WithBcrypt(4), auth.WithoutLimits()}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close(context.WithoutCancel(t.Context()))) })
	mux := http.NewServeMux()
	mux.Handle("/auth/", a)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return &door{Harness: &authtest.Harness{Auth: a, Clock: clock}, t: t, url: srv.URL + "/auth", srv: srv}
}

func TestSendMail(t *testing.T) {
	t.Run("option", func(t *testing.T) { testSendMail(t, auth.WithSendMail) })
	t.Run("hook", func(t *testing.T) {
		testSendMail(t, func(send func(context.Context, mail.Event) error) auth.Option {
			return auth.WithHooks(auth.Hooks{SendMail: send})
		})
	})
}

func testSendMail(t *testing.T, by func(func(context.Context, mail.Event) error) auth.Option) {
	t.Helper()
	r := &recorder{err: errors.New("busy")}
	d := openWithoutMailer(t, by(r.send))
	d.post("/signup", withChallenge(map[string]any{"email": "ada@example.com", "password": goodPassword, "data": map[string]any{"name": "Ada", "locale": "de"}})).want(http.StatusOK, nil)
	d.attempt()
	r.mu.Lock()
	r.err = nil
	r.mu.Unlock()
	d.Clock.Advance(2 * time.Minute)
	d.attempt()
	events := r.taken()
	require.Len(t, events, 2, "it is called again until it takes the mail")
	require.Equal(t, events[0], events[1], "with the same id and content")
	e := events[1]
	require.Equal(t, mail.Confirmation, e.Kind)
	require.Equal(t, "ada@example.com", e.To)
	require.Equal(t, "ada@example.com", e.Email)
	require.Equal(t, "de", e.Locale)
	require.Equal(t, d.account("ada@example.com").ID, e.UserID)
	require.NotEqual(t, uuid.Nil, e.UserID)
	require.JSONEq(t, `"Ada"`, string(d.account("ada@example.com").UserMetadata["name"]))
	require.Contains(t, string(e.Data), `"Ada"`)
	require.NotEmpty(t, e.MessageID)
	require.Equal(t, d.srv.URL, e.SiteURL)
	require.Contains(t, e.TokenHash, "pkce_")
	require.Equal(t, e.TokenHash, linkParams(t, e.ConfirmationURL).Get("token"))
	d.byCode("signup", "ada@example.com", e.Token).want(http.StatusOK, nil)
}

func TestMailTemplates(t *testing.T) {
	files := fstest.MapFS{
		"recovery.html":       {Data: []byte(`<a href="{{ .SiteURL }}/auth/confirm?token_hash={{ .TokenHash }}&type=email&next=/new">go</a> {{ .Token }}`)},
		"recovery.de.html":    {Data: []byte(`<p>Hallo {{ .Email }}</p>`)},
		"recovery.de.subject": {Data: []byte(`Passwort für {{ .Email }}`)},
	}
	d := open(t, auth.WithMailTemplates(files),
		auth.WithMailTemplate(mail.MagicLink, mail.Template{Subject: "{{ .Token }} & {{ .Data.name }}", HTML: "<b>{{ .RedirectTo }}</b>"}))
	d.signUpNamed("ada@example.com", "O'Neil & Co")
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	m := d.LastMail("ada@example.com")
	require.Contains(t, m.Link(), "/auth/confirm?token_hash=")
	// The application's own page posts the token as type email.
	d.byHash("email", linkParams(t, m.Link()).Get("token_hash")).want(http.StatusOK, nil)
	d.pass()
	d.post("/recover", map[string]any{"email": "ada@example.com"}, header{"Accept-Language", "de"}).want(http.StatusOK, nil)
	require.Equal(t, "Passwort für ada@example.com", d.LastMail("ada@example.com").Subject)

	d.pass()
	d.post("/otp?redirect_to="+d.srv.URL+"/cb", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	m = d.LastMail("ada@example.com")
	require.Equal(t, "<b>"+d.srv.URL+"/cb</b>", m.HTML)
	require.Regexp(t, `^\d{6} & O'Neil & Co$`, m.Subject, "a subject is text")
}

// signUpNamed makes a confirmed account with a name.
func (d *door) signUpNamed(email, name string) {
	d.t.Helper()
	d.post("/signup", map[string]any{"email": email, "password": goodPassword, "data": map[string]any{"name": name}}).want(http.StatusOK, nil)
	d.byCode("signup", email, d.LastMail(email).Code()).want(http.StatusOK, nil)
}

func TestLinkPaths(t *testing.T) {
	d := open(t, auth.WithSiteURL("https://app.example.com"), auth.WithMailFrequency(0),
		auth.WithLinkPath(mail.Recovery, "https://app.example.com/reset?lang=en"), auth.WithLinkPath(mail.MagicLink, "/v1/verify"))
	d.confirmed("ada@example.com")
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	link := d.LastMail("ada@example.com").Link()
	require.True(t, strings.HasPrefix(link, "https://app.example.com/reset?lang=en&token="), link)
	d.byHash(linkParams(t, link).Get("type"), linkParams(t, link).Get("token")).want(http.StatusOK, nil)

	d.post("/magiclink", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	link = d.LastMail("ada@example.com").Link()
	require.True(t, strings.HasPrefix(link, "https://app.example.com/auth/v1/verify?token="), link)
	d.submit(linkParams(t, link)).landsWithTokens("magiclink")
}

func TestAuthorizedAddresses(t *testing.T) {
	d, service := openAdmin(t, auth.WithAuthorizedAddresses("Team@example.com"))
	in := func(email string) map[string]any {
		return map[string]any{"email": email, "password": goodPassword, "type": "signup"}
	}
	d.confirmed("known@example.com")
	for _, email := range []string{"known@example.com", "unknown@example.com", "team@example.com.evil.example", "ateam@example.com"} {
		for _, path := range []string{"/signup", "/recover", "/otp", "/magiclink", "/resend"} {
			a := d.post(path, in(email)).wantFault(http.StatusBadRequest, "email_address_not_authorized")
			require.Contains(t, a.object()["msg"], "cannot be used as it is not authorized")
		}
	}
	d.post("/invite", in("bob@example.com"), service).wantFault(http.StatusBadRequest, "email_address_not_authorized")
	_, err := d.Auth.Users().FindByEmail(t.Context(), "unknown@example.com")
	require.Error(t, err)
	for _, email := range []string{"team@example.com", "TEAM+label@example.com"} {
		d.post("/signup", in(email)).want(http.StatusOK, nil)
		require.NotEmpty(t, d.LastMail(strings.ToLower(email)).Link())
	}
}
