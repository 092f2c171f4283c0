package auth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
)

// What the mail flows' tests share.

const (
	jwtSecret = "a secret of the tests, long enough for HS256"
	linkError = "Email link is invalid or has expired"
	codeError = "Token has expired or is invalid"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
)

// challenge is the S256 challenge of a verifier.
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// withChallenge adds the S256 challenge of the verifier to a body.
func withChallenge(body map[string]any) map[string]any {
	body["code_challenge"], body["code_challenge_method"] = challenge(verifier), "s256"
	return body
}

// openAdmin opens a door whose tokens are signed with a known secret, and gives the
// header of an administrator.
func openAdmin(t testing.TB, opts ...auth.Option) (*door, header) {
	t.Helper()
	d := open(t, append([]auth.Option{auth.WithJWTSecret([]byte(jwtSecret))}, opts...)...)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"role": "service_role", "iss": "tests"}).SignedString([]byte(jwtSecret))
	require.NoError(t, err)
	return d, bearer(token)
}

// account reads the account of an address.
func (d *door) account(email string) auth.Account {
	d.t.Helper()
	acc, err := d.Auth.Users().FindByEmail(context.Background(), email)
	require.NoError(d.t, err)
	return acc
}

// confirmed makes an account with a proved address and the good password.
func (d *door) confirmed(email string) auth.Account {
	d.t.Helper()
	acc, err := d.Auth.Users().Create(context.Background(), auth.NewUser{Email: email, Password: goodPassword, EmailConfirmed: true})
	require.NoError(d.t, err)
	return acc
}

// mailsTo delivers what is due and gives all mails to an address, oldest first.
func (d *door) mailsTo(to string) []mail.Message {
	d.t.Helper()
	d.Deliver()
	var out []mail.Message
	for _, m := range d.Mail.Messages() {
		if m.To == to {
			out = append(out, m)
		}
	}
	return out
}

// pass delivers what is due, and turns the clock past the wait between two mails: so
// mails arrive in the order in which they were sent.
func (d *door) pass() {
	d.t.Helper()
	d.Deliver()
	d.Clock.Advance(time.Minute + time.Second)
}

// linkParams are the parameters of a mailed link.
func linkParams(t testing.TB, link string) url.Values {
	t.Helper()
	u, err := url.Parse(link)
	require.NoError(t, err)
	return u.Query()
}

// pathOf is a link's path and query below the mount.
func (d *door) pathOf(link string) string {
	d.t.Helper()
	path, ok := strings.CutPrefix(link, d.url)
	require.True(d.t, ok, "%s isn't below %s", link, d.url)
	return path
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// form opens a link's page and gives the fields of its form.
func (d *door) form(link string) url.Values {
	d.t.Helper()
	a := d.send(http.MethodGet, d.pathOf(link), nil)
	require.Equal(d.t, http.StatusOK, a.Status, "body: %s", a.Body)
	v := url.Values{}
	for _, m := range hiddenInput.FindAllStringSubmatch(string(a.Body), -1) {
		v.Set(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	require.NotEmpty(d.t, v)
	return v
}

// submit posts a link's form as a browser does.
func (d *door) submit(v url.Values, headers ...header) answer {
	d.t.Helper()
	return d.post("/verify", v.Encode(), append([]header{{"Content-Type", "application/x-www-form-urlencoded"}}, headers...)...)
}

// press opens a link and presses the button of its page.
func (d *door) press(link string) answer {
	d.t.Helper()
	return d.submit(d.form(link))
}

// landing is where a redirect leads: its URL without the fragment, and the fragment's
// values.
func (a answer) landing() (*url.URL, url.Values) {
	a.t.Helper()
	require.Equal(a.t, http.StatusSeeOther, a.Status, "body: %s", a.Body)
	u, err := url.Parse(a.Header.Get("Location"))
	require.NoError(a.t, err)
	v, err := url.ParseQuery(u.EscapedFragment())
	require.NoError(a.t, err)
	u.Fragment, u.RawFragment = "", ""
	return u, v
}

// landsWithTokens checks that a redirect carries a session.
func (a answer) landsWithTokens(kind string) url.Values {
	a.t.Helper()
	_, v := a.landing()
	require.Equal(a.t, kind, v.Get("type"))
	require.NotEmpty(a.t, v.Get("access_token"))
	require.NotEmpty(a.t, v.Get("refresh_token"))
	require.Equal(a.t, "bearer", v.Get("token_type"))
	require.Equal(a.t, "3600", v.Get("expires_in"))
	require.NotEmpty(a.t, v.Get("expires_at"))
	require.Equal(a.t, []string{""}, v["sb"])
	require.Len(a.t, v, 7)
	return v
}

// landsWithLinkError checks that a redirect carries the one error of links.
func (a answer) landsWithLinkError() {
	a.t.Helper()
	_, v := a.landing()
	require.Equal(a.t, url.Values{
		"error": {"access_denied"}, "error_code": {"otp_expired"}, "error_description": {linkError}, "sb": {""},
	}, v)
}

// wantLinkError and wantCodeError check the one error of links and of codes, as JSON.
func (a answer) wantLinkError() {
	a.t.Helper()
	a.wantFault(http.StatusForbidden, "otp_expired")
	require.Equal(a.t, linkError, a.object()["msg"])
}

func (a answer) wantCodeError() {
	a.t.Helper()
	a.wantFault(http.StatusForbidden, "otp_expired")
	require.Equal(a.t, codeError, a.object()["msg"])
}

// byCode verifies a mailed code.
func (d *door) byCode(kind, email, code string) answer {
	d.t.Helper()
	return d.post("/verify", map[string]any{"type": kind, "email": email, "token": code})
}

// byHash verifies a link's token.
func (d *door) byHash(kind, hash string) answer {
	d.t.Helper()
	return d.post("/verify", map[string]any{"type": kind, "token_hash": hash})
}

// methodOf is the method by which the session of an access token began.
func methodOf(t testing.TB, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	var c struct {
		AMR []struct {
			Method string `json:"method"`
		} `json:"amr"`
	}
	require.NoError(t, json.Unmarshal(raw, &c))
	require.Len(t, c.AMR, 1)
	return c.AMR[0].Method
}

// other gives a code of as many digits that isn't code.
func other(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

// tokenOf is the token of the link of the newest mail to an address.
func (d *door) tokenOf(to string) string {
	d.t.Helper()
	return linkParams(d.t, d.LastMail(to).Link()).Get("token")
}

// sameButIDs is a body with what differs from request to request taken out: ids, times
// and the address itself.
func sameButIDs(a answer, email string) string {
	s := strings.ReplaceAll(string(a.Body), email, "ADDRESS")
	s = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).ReplaceAllString(s, "ID")
	return regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`).ReplaceAllString(s, "TIME")
}
