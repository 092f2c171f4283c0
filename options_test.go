package auth_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/captcha"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
	"github.com/truekeel/auth/tokens"
)

// wrongOptions holds values that can't be right, by option, with a word of the remedy.
// An option that takes any value has none.
func wrongOptions(t *testing.T) map[string][]wrongOption {
	key, err := tokens.GenerateKey(tokens.ES256)
	require.NoError(t, err)
	short := []byte("too short")
	anything := []wrongOption{}
	return map[string][]wrongOption{
		"WithStore":               {{"nil", opts(auth.WithStore(nil)), "store/sqlite"}},
		"WithOpenStore":           {{"nil", opts(auth.WithOpenStore(nil)), "nil"}, {"fails", opts(auth.WithOpenStore(failingStore)), "no such host"}},
		"WithDatabaseFile":        {{"empty", opts(auth.WithDatabaseFile("")), "empty"}, {"a folder", opts(auth.WithDatabaseFile(t.TempDir())), "WithDatabaseFile"}},
		"WithoutMigrations":       {{"no schema", opts(auth.WithDatabaseFile(filepath.Join(t.TempDir(), "a.db")), auth.WithoutMigrations()), "migrate it"}},
		"WithBasePath":            {{"relative", opts(auth.WithBasePath("auth")), "/auth"}, {"unclean", opts(auth.WithBasePath("/a//b")), "/auth"}, {"dots", opts(auth.WithBasePath("/a/../b")), "/auth"}, {"empty", opts(auth.WithBasePath("")), "/auth"}},
		"WithSiteURL":             wrongURLs(auth.WithSiteURL),
		"WithExternalURL":         wrongURLs(auth.WithExternalURL),
		"WithExternalHosts":       {{"path", opts(auth.WithExternalHosts("a.example/x")), "auth.example.com"}, {"empty", opts(auth.WithExternalHosts("")), "auth.example.com"}, {"no URL", opts(auth.WithExternalHosts("a.example")), "WithExternalURL"}},
		"WithIssuer":              {{"empty", opts(auth.WithIssuer("")), "empty"}},
		"WithRedirectURLs":        {{"broken", opts(auth.WithSiteURL("http://localhost"), auth.WithRedirectURLs("https://[a")), "https://[a"}, {"no site", opts(auth.WithRedirectURLs("https://a.example/*")), "site URL"}},
		"WithAllowedOrigins":      {{"path", opts(auth.WithAllowedOrigins("https://a.example/x")), "https://app.example.com"}, {"host", opts(auth.WithAllowedOrigins("a.example")), "https://app.example.com"}},
		"WithAllowedHeaders":      {{"blank", opts(auth.WithAllowedHeaders("X A")), "header"}, {"empty", opts(auth.WithAllowedHeaders("")), "header"}},
		"WithMailer":              {{"nil", opts(auth.WithMailer(nil)), "nil"}, {"incomplete", opts(auth.WithMailer(mail.SMTP{})), "WithMailer"}},
		"WithSendMail":            {{"nil", opts(auth.WithSendMail(nil)), "nil"}, {"two", opts(auth.WithMailer(mail.Func(func(context.Context, mail.Message) error { return nil })), auth.WithSendMail(func(context.Context, mail.Event) error { return nil })), "leave one out"}},
		"WithMailTemplate":        {{"kind", opts(auth.WithMailTemplate("nonsense", mail.Template{})), "nonsense"}, {"syntax", opts(auth.WithMailTemplate(mail.Confirmation, mail.Template{HTML: "{{"})), "confirmation"}},
		"WithMailTemplates":       {{"nil", opts(auth.WithMailTemplates(nil)), "nil"}, {"syntax", opts(auth.WithMailTemplates(fstest.MapFS{"confirmation.html": {Data: []byte("{{")}})), "confirmation"}, {"kind", opts(auth.WithMailTemplates(fstest.MapFS{"confirm.html": {Data: []byte("x")}})), "none of confirmation"}},
		"WithTemplateFetch":       {{"negative", opts(auth.WithTemplateFetch(auth.TemplateFetch{MaxAge: -1})), "negative"}},
		"WithMailLocale":          {{"no tag", opts(auth.WithMailLocale("not a language")), "BCP 47"}},
		"WithLinkPath":            {{"no link", opts(auth.WithLinkPath(mail.Reauthentication, "x")), "no link"}, {"no URL", opts(auth.WithLinkPath(mail.Confirmation, "http://[x")), "WithLinkPath"}},
		"WithSyncDelivery":        anything,
		"WithMailGiveUp":          {{"zero", opts(auth.WithMailGiveUp(0)), "above zero"}},
		"WithMailFrequency":       anything,
		"WithAuthorizedAddresses": {{"no address", opts(auth.WithAuthorizedAddresses("example.com")), "ada@example.com"}},
		"WithNotifications":       {{"no notification", opts(auth.WithNotifications(mail.Confirmation)), "confirmation"}},
		"WithDirectLinks":         anything,
		"WithCodes":               {{"short", opts(auth.WithCodes(auth.Codes{Length: 5})), "6 to 10"}, {"negative", opts(auth.WithCodes(auth.Codes{CodeLife: -1})), "negative"}},
		"WithSecureEmailChange":   anything,
		"WithSMS":                 {{"nil", opts(auth.WithSMS(nil)), "nil"}, {"incomplete", opts(auth.WithSMS(&sms.Twilio{})), "AccountSID"}},
		"WithPhoneSignIn":         {{"nothing sends", opts(auth.WithSiteURL("https://app.example.com"), auth.WithMailer(&mail.Mailbox{}), auth.WithPhoneSignIn(true)), "WithSMS"}},
		"WithSMSAutoConfirm":      anything,
		"WithSMSFrequency":        anything,
		"WithSMSCodes":            {{"short", opts(auth.WithSMSCodes(auth.SMSCodes{Length: 4})), "6 to 10"}, {"negative", opts(auth.WithSMSCodes(auth.SMSCodes{Life: -1})), "negative"}},
		"WithSMSTemplate":         {{"syntax", opts(auth.WithSMSTemplate("{{")), "WithSMSTemplate"}, {"no code", opts(auth.WithSMSTemplate("Hello")), "{{ .Code }}"}, {"unknown", opts(auth.WithSMSTemplate("{{ .Code }} {{ .Link }}")), "{{ .Code }}"}},
		"WithSMSGuard":            {{"country", opts(auth.WithSMSGuard(sms.Guard{Countries: []string{"Germany"}})), "DE"}},
		"WithTestNumbers":         {{"none", opts(auth.WithTestNumbers(nil, time.Time{})), "no number"}, {"number", opts(auth.WithTestNumbers(map[string]string{"x": "123456"}, time.Time{})), "+1 500 555 0100"}, {"code", opts(auth.WithTestNumbers(map[string]string{"15550100": "12x456"}, time.Time{})), "6 to 10"}, {"twice", opts(auth.WithTestNumbers(map[string]string{"+15550100": "123456", "1555 0100": "654321"}, time.Time{})), "WithTestNumbers: \"1555 0100\" is the number 15550100"}},
		"WithAutoConfirm":         anything,
		"WithSignUp":              anything,
		"WithEmailSignIn":         anything,
		"WithMagicLink":           anything,
		"WithUnconfirmedSignIn":   anything,
		"WithVisibleDuplicates":   anything,
		"WithProvider": {
			{"none", opts(auth.WithProvider()), "no provider"}, {"nil", opts(auth.WithProvider(nil)), "nil"},
			{"twice", opts(auth.WithProvider(newIdP("acme")), auth.WithProvider(newIdP("acme"))), `"acme" is given twice`},
			{"no client", opts(auth.WithProvider(providers.Google("", "secret"))), "google"},
		},
		"WithUnprovedProviderSignIn": anything,
		"WithManualLinking":          anything,
		"WithProviderCallback":       {{"path", opts(auth.WithProviderCallback("google", "/callback")), "https://app.example.com/auth/v1/callback"}, {"no such provider", opts(auth.WithProviderCallback("google", "https://app.example.com/callback")), "WithProvider"}, {"fragment", opts(auth.WithProviderCallback("google", "https://app.example.com/callback#x")), "https://app.example.com/auth/v1/callback"}},
		"WithProviderLanding":        {{"relative", opts(auth.WithProviderLanding("welcome")), "https://app.example.com/welcome"}, {"password", opts(auth.WithProviderLanding("https://u:p@app.example.com")), "https://app.example.com/welcome"}},
		"WithJWTSecret":              {{"empty", opts(auth.WithJWTSecret(nil)), "openssl"}, {"short", opts(auth.WithJWTSecret(short)), "openssl"}},
		"WithJWTSecretID":            {{"empty", opts(auth.WithJWTSecretID("")), "leave"}, {"no secret", opts(auth.WithJWTSecretID("a")), "WithJWTSecret"}},
		"WithInsecureShortSecret":    {{"no secret", opts(auth.WithInsecureShortSecret()), "WithJWTSecret"}},
		"WithSigningKeys":            {{"none", opts(auth.WithSigningKeys()), "no key"}, {"public", opts(auth.WithSigningKeys(key.VerifyOnly())), "WithSigningKeys"}, {"zero", opts(auth.WithSigningKeys(tokens.Key{})), "WithSigningKeys"}},
		"WithKeyAlgorithm":           {{"unknown", opts(auth.WithKeyAlgorithm("none")), "ES256"}, {"symmetric", opts(auth.WithKeyAlgorithm(tokens.HS256)), "ES256"}},
		"WithValidMethods":           {{"none", opts(auth.WithValidMethods()), "algorithm"}, {"unknown", opts(auth.WithValidMethods("none")), "HS256"}},
		"WithAccessTokenLifetime":    {{"zero", opts(auth.WithAccessTokenLifetime(0)), "second"}},
		"WithAudience":               {{"empty", opts(auth.WithAudience("")), "empty"}},
		"WithAudiences":              {{"empty", opts(auth.WithAudiences("a", "")), "empty"}},
		"WithDefaultRole":            {{"empty", opts(auth.WithDefaultRole("")), "empty"}},
		"WithAdminRoles":             {{"empty", opts(auth.WithAdminRoles("")), "empty"}},
		"WithSelfAdminRole":          anything,
		"WithEncryptionKey":          {{"short", opts(auth.WithEncryptionKey(short)), "openssl"}, {"short old", opts(auth.WithEncryptionKey(make([]byte, 32), short)), "WithEncryptionKey"}},
		"WithLostEncryptionKey":      anything,
		"WithPasswordLength":         {{"zero", opts(auth.WithPasswordLength(0)), "between"}, {"large", opts(auth.WithPasswordLength(73)), "between"}},
		"WithPasswordCharacters":     {{"empty", opts(auth.WithPasswordCharacters("abc", "")), "empty"}},
		"WithoutCommonPasswordCheck": anything,
		"WithLeakedPasswords":        {{"nil", opts(auth.WithLeakedPasswords(nil)), "breach.NewHIBP"}},
		"WithLeakCheckRequired":      {{"nobody", opts(auth.WithLeakCheckRequired()), "WithLeakedPasswords"}},
		"WithNISTPasswords": {
			{"bcrypt", opts(auth.WithNISTPasswords(), auth.WithBcrypt(10)), "WithArgon2id"},
			{"characters", opts(auth.WithPasswordCharacters("abc"), auth.WithNISTPasswords()), "WithPasswordCharacters"},
			{"short", opts(auth.WithPasswordLength(14), auth.WithNISTPasswords()), "WithPasswordLength"},
			{"common", opts(auth.WithoutCommonPasswordCheck(), auth.WithNISTPasswords()), "WithoutCommonPasswordCheck"},
		},
		"WithBcrypt":            {{"low", opts(auth.WithBcrypt(3)), "between"}, {"high", opts(auth.WithBcrypt(16)), "between"}},
		"WithArgon2id":          {{"zero", opts(auth.WithArgon2id(0, 1, 1)), "above zero"}, {"huge", opts(auth.WithArgon2id(1<<31, 1, 1)), "WithArgon2id"}},
		"WithReauthentication":  anything,
		"WithCurrentPassword":   anything,
		"WithSessionLimits":     {{"negative", opts(auth.WithSessionLimits(auth.SessionLimits{Timebox: -1})), "negative"}},
		"WithRefreshReuse":      {{"negative", opts(auth.WithRefreshReuse(-1)), "negative"}},
		"WithoutReuseDetection": anything,
		"WithLimiter":           {{"nil", opts(auth.WithLimiter(nil)), "WithoutLimits"}},
		"WithLimits":            {{"never", opts(auth.WithLimits(auth.Limits{Token: limit.Rate{Per: time.Hour}})), "WithEmailSignIn"}, {"negative", opts(auth.WithLimits(auth.Limits{Mails: limit.Window(-1, time.Hour)})), "WithLimits"}},
		"WithoutLimits":         anything,
		"WithTrustedProxies":    {{"zero", opts(auth.WithTrustedProxies(netip.Prefix{})), "10.0.0.0/8"}},
		"WithClientIPHeader":    {{"empty", opts(auth.WithClientIPHeader("")), "header"}, {"blank", opts(auth.WithClientIPHeader("X Y")), "header"}},
		"WithRequestIDHeader":   {{"colon", opts(auth.WithRequestIDHeader("X:")), "header"}},
		"WithKeel":              {{"relative", opts(auth.WithKeel(auth.Keel{RedirectURL: "app.example.com"})), "https://app.example.com"}, {"access", opts(auth.WithKeel(auth.Keel{AccessTokenLifetime: -1})), "AccessTokenLifetime"}, {"refresh", opts(auth.WithKeel(auth.Keel{RefreshTokenLifetime: 1})), "RefreshTokenLifetime"}},
		"WithoutKeel":           {{"nothing", opts(auth.WithoutKeel(), auth.WithoutGoTrue()), "WithoutGoTrue"}},
		"WithoutGoTrue":         anything,
		"WithAuditRetention":    {{"zero", opts(auth.WithAuditRetention(0)), "above zero"}},
		"WithoutAuditLog":       anything,
		"WithRequestTimeout":    {{"negative", opts(auth.WithRequestTimeout(-1)), "above zero"}},
		"WithHTTPClient":        {{"nil", opts(auth.WithHTTPClient(nil)), "nil"}},
		"WithClock":             {{"nil", opts(auth.WithClock(nil)), "nil"}},
		"WithLogger":            {{"nil", opts(auth.WithLogger(nil)), "nil"}},
		"WithCaptcha": {
			{"nil", opts(auth.WithCaptcha(nil)), "captcha.HCaptcha"}, {"no secret", opts(auth.WithCaptcha(&captcha.Turnstile{})), "Turnstile.Secret"},
			{"nil pointer", opts(auth.WithCaptcha((*captcha.HCaptcha)(nil))), "nil"}, {"clear", opts(auth.WithCaptcha(&captcha.HCaptcha{Secret: "x", BaseURL: "http://captcha.example.com"})), "https"},
		},
		"WithHTTPHook": {
			{"point", opts(auth.WithHTTPHook("login", auth.HTTPHook{})), `"login" is no point`}, {"URI", opts(auth.WithHTTPHook(auth.HookSendEmail, auth.HTTPHook{URI: "http://example.com"})), "https"},
			{"no secret", opts(auth.WithHTTPHook(auth.HookSendEmail, auth.HTTPHook{URI: "https://example.com"})), "openssl"},
			{"private", opts(auth.WithHTTPHook(auth.HookSendEmail, auth.HTTPHook{URI: "https://10.0.0.1", InsecureUnsigned: true})), "public"},
			{"negative", opts(auth.WithHTTPHook(auth.HookSendEmail, auth.HTTPHook{URI: "https://example.com", Timeout: -1})), "negative"},
			{"twice", opts(elsewhere(auth.HookSendEmail), elsewhere(auth.HookSendEmail)), "already"},
		},
		"WithWebhook": {
			{"URL", opts(auth.WithWebhook(auth.Webhook{Events: []auth.WebhookEvent{auth.WebhookLogin}})), "URL"},
			{"event", opts(auth.WithWebhook(auth.Webhook{URL: "https://example.com", Events: []auth.WebhookEvent{"x"}})), "validate, signup, login, email_change"},
			{"negative", opts(auth.WithWebhook(auth.Webhook{URL: "https://example.com", Timeout: -1})), "negative"},
			{"twice", opts(auth.WithWebhook(auth.Webhook{}), auth.WithWebhook(auth.Webhook{})), "already"},
		},
		"WithInstanceID": {{"nil", opts(auth.WithInstanceID(uuid.Nil)), "nil UUID"}},
		"WithHooks": {{"two senders", opts(auth.WithHooks(auth.Hooks{SendMail: func(context.Context, mail.Event) error { return nil }}), auth.WithSendMail(func(context.Context, mail.Event) error { return nil })), "WithSendMail and WithHooks"}, {"a mailer", opts(auth.WithHooks(auth.Hooks{SendMail: func(context.Context, mail.Event) error { return nil }}), auth.WithMailer(mail.Func(func(context.Context, mail.Message) error { return nil }))), "Hooks.SendMail"},
			{"two senders of messages", opts(auth.WithHooks(auth.Hooks{SendSMS: func(context.Context, sms.Message, auth.Account) error { return nil }}), auth.WithSMS(sms.Func(func(context.Context, sms.Message) (string, error) { return "", nil }))), "WithSMS and WithHooks"},
		},
		"WithEventWebhook": {
			{"no URL", wrongWebhook(func(w *auth.EventWebhook) { w.URL = "" }), "https://app.example.com/events"},
			{"plain", wrongWebhook(func(w *auth.EventWebhook) { w.URL = "http://app.example.com" }), "AllowPrivate"},
			{"no secret", wrongWebhook(func(w *auth.EventWebhook) { w.Secrets = nil }), "openssl"},
			{"short secret", wrongWebhook(func(w *auth.EventWebhook) { w.Secrets = append(w.Secrets, "whsec_c2hvcnQ=") }), "secret 2"},
			{"no such event", wrongWebhook(func(w *auth.EventWebhook) { w.Events = []auth.EventType{"user.born"} }), "user.created"},
			{"blank name", wrongWebhook(func(w *auth.EventWebhook) { w.Name = "a b" }), "one word"},
			{"long name", wrongWebhook(func(w *auth.EventWebhook) { w.Name = strings.Repeat("a", 101) }), "100"},
			{"negative", wrongWebhook(func(w *auth.EventWebhook) { w.GiveUpAfter = -1 }), "GiveUpAfter"},
			{"twice", append(wrongWebhook(func(*auth.EventWebhook) {}), wrongWebhook(func(*auth.EventWebhook) {})...), "its own Name"},
		},
		"WithEventRetention": {{"zero", opts(auth.WithEventRetention(0)), "above zero"}},
	}
}

func wrongWebhook(change func(*auth.EventWebhook)) []auth.Option {
	w := auth.EventWebhook{URL: "https://app.example.com/hook", Secrets: []string{eventSecret}}
	change(&w)
	return opts(auth.WithEventWebhook(w))
}

func failingStore(context.Context, *slog.Logger) (store.Store, error) {
	return nil, errors.New("no such host")
}

type wrongOption struct {
	name   string
	option []auth.Option
	remedy string
}

func wrongURLs(with func(string) auth.Option) []wrongOption {
	var out []wrongOption
	for _, raw := range []string{"", "app.example.com", "ftp://app.example.com", "https://", "https://u:p@app.example.com", "https://app.example.com?x=1", "https://app.example.com/#x", "https://app.example.com:x"} {
		out = append(out, wrongOption{raw, opts(with(raw)), "https://app.example.com"})
	}
	return out
}

// opts is what the wrong value consists of.
func opts(o ...auth.Option) []auth.Option { return o }

func TestWrongOptionsAreRefused(t *testing.T) {
	table := wrongOptions(t)
	names := slices.Collect(maps.Keys(table))
	for _, name := range optionNames(t) {
		require.True(t, slices.Contains(names, name), "the table lacks %s", name)
	}
	require.Len(t, names, len(optionNames(t)), "the table has an option that isn't there")
	t.Chdir(t.TempDir())
	for name, cases := range table {
		for _, c := range cases {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				before := ours()
				a, err := auth.New(c.option...)
				require.Error(t, err)
				require.Nil(t, a)
				require.Contains(t, err.Error(), name, "the error names the option")
				require.Contains(t, err.Error(), c.remedy, "the error names the remedy")
				require.NotContains(t, err.Error(), "\n", "one error, of one line")
				requireStill(t, before)
			})
		}
	}
}

// optionNames reads the options off the source.
func optionNames(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "options.go", nil, 0)
	require.NoError(t, err)
	var names []string
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "With") {
			names = append(names, f.Name.Name)
		}
	}
	require.NotEmpty(t, names)
	return names
}

// ours counts the goroutines that run code of this module, but for tests.
func ours() int {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	n := 0
	for _, g := range strings.Split(string(buf), "\n\n") {
		if strings.Contains(g, "truekeel/auth") && !strings.Contains(g, "truekeel/auth_test.") {
			n++
		}
	}
	return n
}

// requireStill waits until no more goroutines of ours are there than before.
func requireStill(t *testing.T, before int) {
	t.Helper()
	require.Eventually(t, func() bool { return ours() <= before }, time.Minute, 5*time.Millisecond, "goroutines are left")
}

func TestCloseLeavesNothing(t *testing.T) {
	before := ours()
	path := filepath.Join(t.TempDir(), "auth.db")
	for range 2 { // the second opens what the first left
		a, err := auth.New(auth.WithDatabaseFile(path))
		require.NoError(t, err)
		require.Greater(t, ours(), before, "the measure sees our goroutines")
		require.NoError(t, a.Close(t.Context()))
		require.NoError(t, a.Close(t.Context()), "a second Close does nothing")
		requireStill(t, before)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestTwoAuthsOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	first, err := auth.New(auth.WithDatabaseFile(path), auth.WithBcrypt(4))
	require.NoError(t, err)
	defer first.Close(context.Background())
	second, err := auth.New(auth.WithDatabaseFile(path), auth.WithBcrypt(4))
	require.NoError(t, err)
	defer second.Close(context.Background())

	u, err := first.Users().Create(t.Context(), auth.NewUser{Email: "ada@example.com", EmailConfirmed: true})
	require.NoError(t, err)
	g, err := second.Users().Issue(t.Context(), u.ID, "password")
	require.NoError(t, err)
	got, err := first.Verify(t.Context(), g.AccessToken)
	require.NoError(t, err, "they share their keys")
	require.Equal(t, u.ID, got.ID)
}

// New prints nothing, whatever it is told, and logs only to its logger.
func TestNothingIsPrinted(t *testing.T) {
	out := captureOutput(t, func() {
		for _, o := range []auth.Option{nil, auth.WithJWTSecret([]byte("short")), auth.WithSiteURL("http://localhost:3000")} {
			a, err := auth.New(auth.WithDatabaseFile(filepath.Join(t.TempDir(), "a.db")), o)
			if err == nil {
				require.NoError(t, a.Close(t.Context()))
			}
		}
	})
	require.Empty(t, out)
}

func captureOutput(t *testing.T, fn func()) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	stdout, stderr, logger := os.Stdout, os.Stderr, slog.Default()
	os.Stdout, os.Stderr = f, f
	slog.SetDefault(slog.New(slog.NewTextHandler(f, nil)))
	defer func() {
		os.Stdout, os.Stderr = stdout, stderr
		slog.SetDefault(logger)
	}()
	fn()
	require.NoError(t, f.Close())
	raw, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	return string(raw)
}

func TestMust(t *testing.T) {
	a := auth.Must(auth.New(auth.WithDatabaseFile(filepath.Join(t.TempDir(), "a.db"))))
	require.NoError(t, a.Close(t.Context()))
	require.Panics(t, func() { auth.Must(auth.New(auth.WithBcrypt(1))) })
}

func TestPublicSiteNeedsAMailer(t *testing.T) {
	file := auth.WithDatabaseFile(filepath.Join(t.TempDir(), "a.db"))
	site := auth.WithSiteURL("https://app.example.com")
	_, err := auth.New(file, site)
	require.ErrorContains(t, err, "WithMailer")
	require.ErrorContains(t, err, "WithSiteURL")
	for name, o := range map[string]auth.Option{
		"mailer":      auth.WithMailer(&mail.Mailbox{}),
		"send mail":   auth.WithSendMail(func(context.Context, mail.Event) error { return nil }),
		"hook":        auth.WithHooks(auth.Hooks{SendMail: func(context.Context, mail.Event) error { return nil }}),
		"autoconfirm": auth.WithAutoConfirm(true),
	} {
		t.Run(name, func(t *testing.T) {
			a, err := auth.New(file, site, o)
			require.NoError(t, err)
			require.NoError(t, a.Close(t.Context()))
		})
	}
}

// A store that the host brings stays open after Close.
func TestCloseLeavesTheHostsStoreOpen(t *testing.T) {
	s, err := sqlite.OpenTemp()
	require.NoError(t, err)
	defer s.Close()
	a, err := auth.New(auth.WithStore(s))
	require.NoError(t, err)
	require.NoError(t, a.Close(t.Context()))
	require.NoError(t, s.Ping(t.Context()))
}
