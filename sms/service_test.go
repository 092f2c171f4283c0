package sms

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/outbound"
)

// sent is a request that a fake got.
type sent struct {
	path string
	form url.Values
	auth string
}

// fake is a service that answers every request in the same way, and keeps the last one.
type fake struct {
	url    string
	status int
	answer string
	got    sent
	count  int
}

func newFake(t *testing.T, status int, answer string) *fake {
	t.Helper()
	f := &fake{status: status, answer: answer}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		form, err := url.ParseQuery(string(body))
		assert.NoError(t, err)
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "application/x-www-form-urlencoded", r.Header.Get("Content-Type"))
		assert.Empty(t, r.URL.RawQuery)
		f.got, f.count = sent{r.URL.Path, form, r.Header.Get("Authorization")}, f.count+1
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, f.answer)
	}))
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

func (f *fake) twilio() *Twilio {
	return &Twilio{AccountSID: "AC0123", AuthToken: "hunter2hunter2", From: "MG0456", BaseURL: f.url}
}

func (f *fake) twilioVerify() *TwilioVerify {
	return &TwilioVerify{AccountSID: "AC0123", AuthToken: "hunter2hunter2", ServiceSID: "VA0789", BaseURL: f.url}
}

func (f *fake) messageBird() *MessageBird {
	return &MessageBird{AccessKey: "hunter2hunter2", Originator: "Acme", BaseURL: f.url}
}

func (f *fake) textLocal() *TextLocal {
	return &TextLocal{APIKey: "hunter2hunter2", Sender: "ACMEIN", BaseURL: f.url}
}

func (f *fake) vonage() *Vonage {
	return &Vonage{APIKey: "abcd1234", APISecret: "hunter2hunter2", From: "Acme", BaseURL: f.url}
}

// all are the services by name, at a fake.
func (f *fake) all() map[string]Sender {
	return map[string]Sender{
		"twilio": f.twilio(), "twilio_verify": f.twilioVerify(), "messagebird": f.messageBird(), "textlocal": f.textLocal(), "vonage": f.vonage(),
	}
}

// accepted is an answer by which each service takes a message as m1.
func accepted() map[string]string {
	return map[string]string{
		"twilio":        `{"sid":"m1","status":"queued","error_code":null,"error_message":null,"body":"…"}`,
		"twilio_verify": `{"sid":"m1","status":"pending","valid":false}`,
		"messagebird":   `{"id":"m1","recipients":{"totalCount":1,"totalSentCount":1}}`,
		"textlocal":     `{"status":"success","messages":[{"id":"m1","recipient":4915112345678}]}`,
		"vonage":        `{"message-count":"1","messages":[{"message-id":"m1","status":"0","to":"4915112345678"}]}`,
	}
}

const theCode = "735912"

func message() Message {
	return Message{ID: "1", To: "4915112345678", Body: "Your code is " + theCode, Code: theCode}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestRequests(t *testing.T) {
	whatsApp := func(m *Message) { m.Channel = WhatsApp }
	byNumber := func(f *fake) Sender { s := f.twilio(); s.From = "+15557654321"; return s }
	byTemplate := func(f *fake) Sender { s := f.twilio(); s.ContentSID = "HX0abc"; return s }
	account := basic("AC0123", "hunter2hunter2")
	for name, c := range map[string]struct {
		service string
		sender  func(*fake) Sender // nil for the usual one
		change  func(*Message)
		want    sent
	}{
		"twilio": {"twilio", nil, nil, sent{"/2010-04-01/Accounts/AC0123/Messages.json", url.Values{
			"To": {"+4915112345678"}, "Channel": {"sms"}, "From": {"MG0456"}, "Body": {"Your code is 735912"},
		}, account}},
		"twilio, named channel": {"twilio", nil, func(m *Message) { m.Channel = Text }, sent{"/2010-04-01/Accounts/AC0123/Messages.json", url.Values{
			"To": {"+4915112345678"}, "Channel": {"sms"}, "From": {"MG0456"}, "Body": {"Your code is 735912"},
		}, account}},
		"twilio, WhatsApp by a service": {"twilio", nil, whatsApp, sent{"/2010-04-01/Accounts/AC0123/Messages.json", url.Values{
			"To": {"whatsapp:+4915112345678"}, "Channel": {"whatsapp"}, "From": {"MG0456"}, "Body": {"Your code is 735912"},
		}, account}},
		"twilio, WhatsApp by a number": {"twilio", byNumber, whatsApp, sent{"/2010-04-01/Accounts/AC0123/Messages.json", url.Values{
			"To": {"whatsapp:+4915112345678"}, "Channel": {"whatsapp"}, "From": {"whatsapp:+15557654321"}, "Body": {"Your code is 735912"},
		}, account}},
		"twilio, WhatsApp with a template": {"twilio", byTemplate, whatsApp, sent{"/2010-04-01/Accounts/AC0123/Messages.json", url.Values{
			"To": {"whatsapp:+4915112345678"}, "Channel": {"whatsapp"}, "From": {"MG0456"}, "ContentSid": {"HX0abc"}, "ContentVariables": {`{"1": "735912"}`},
		}, account}},
		"twilio, text in spite of a template": {"twilio", byTemplate, nil, sent{"/2010-04-01/Accounts/AC0123/Messages.json", url.Values{
			"To": {"+4915112345678"}, "Channel": {"sms"}, "From": {"MG0456"}, "Body": {"Your code is 735912"},
		}, account}},
		"twilio_verify": {"twilio_verify", nil, nil, sent{"/v2/Services/VA0789/Verifications", url.Values{
			"To": {"+4915112345678"}, "Channel": {"sms"},
		}, account}},
		"twilio_verify, WhatsApp": {"twilio_verify", nil, whatsApp, sent{"/v2/Services/VA0789/Verifications", url.Values{
			"To": {"+4915112345678"}, "Channel": {"whatsapp"},
		}, account}},
		"messagebird": {"messagebird", nil, nil, sent{"/messages", url.Values{
			"originator": {"Acme"}, "body": {"Your code is 735912"}, "recipients": {"4915112345678"}, "type": {"sms"}, "datacoding": {"unicode"},
		}, "AccessKey hunter2hunter2"}},
		"textlocal": {"textlocal", nil, nil, sent{"/send", url.Values{
			"sender": {"ACMEIN"}, "apikey": {"hunter2hunter2"}, "message": {"Your code is 735912"}, "numbers": {"4915112345678"},
		}, ""}},
		"vonage": {"vonage", nil, nil, sent{"/sms/json", url.Values{
			"from": {"Acme"}, "to": {"4915112345678"}, "text": {"Your code is 735912"}, "api_key": {"abcd1234"}, "api_secret": {"hunter2hunter2"},
		}, ""}},
		"vonage, beyond ASCII": {"vonage", nil, func(m *Message) { m.Body = "Ihr Code für Acme: 735912" }, sent{"/sms/json", url.Values{
			"from": {"Acme"}, "to": {"4915112345678"}, "text": {"Ihr Code für Acme: 735912"}, "api_key": {"abcd1234"}, "api_secret": {"hunter2hunter2"}, "type": {"unicode"},
		}, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, http.StatusOK, accepted()[c.service])
			s := f.all()[c.service]
			if c.sender != nil {
				s = c.sender(f)
			}
			m := message()
			if c.change != nil {
				c.change(&m)
			}
			id, err := s.Send(t.Context(), m)
			require.NoError(t, err)
			require.Equal(t, "m1", id)
			require.Equal(t, c.want, f.got)
			require.Equal(t, c.service, s.(interface{ Name() string }).Name())
		})
	}
}

func TestChannels(t *testing.T) {
	f := newFake(t, http.StatusOK, "{}")
	for name, s := range f.all() {
		whatsApp := strings.HasPrefix(name, "twilio")
		require.True(t, Supports(s, Text), name)
		require.True(t, Supports(s, ""), name)
		require.Equal(t, whatsApp, Supports(s, WhatsApp), name)
		require.False(t, Supports(s, "pigeon"), name)
		m := message()
		if m.Channel = WhatsApp; whatsApp {
			m.Channel = "pigeon"
		}
		_, err := s.Send(t.Context(), m)
		require.ErrorContains(t, err, name+" has no channel")
		require.True(t, Permanent(err))
	}
	require.Zero(t, f.count)
	require.False(t, Supports(Func(nil), WhatsApp))
	require.True(t, Supports(&Inbox{}, WhatsApp))
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		service   string
		status    int
		answer    string
		says      string // the whole error
		permanent bool
	}{
		"twilio, number":        {"twilio", 400, `{"code":21211,"message":"The 'To' number +4915112345678 is not a valid phone number.","more_info":"https://www.twilio.com/docs/errors/21211","status":400}`, "sms: twilio: The 'To' number +[redacted] is not a valid phone number. More information: https://www.twilio.com/docs/errors/21211", true},
		"twilio, credentials":   {"twilio", 401, `{"code":20003,"message":"Authenticate","more_info":"https://www.twilio.com/docs/errors/20003","status":401}`, "sms: twilio: Authenticate More information: https://www.twilio.com/docs/errors/20003", false},
		"twilio, too many":      {"twilio", 429, `{"code":20429,"message":"Too Many Requests","status":429}`, "sms: twilio: Too Many Requests", false},
		"twilio, sender":        {"twilio", 400, `{"code":21606,"message":"no such sender"}`, "sms: twilio: no such sender", false},
		"twilio, unsubscribed":  {"twilio", 400, `{"code":21610,"message":"stopped"}`, "sms: twilio: stopped", true},
		"twilio, failed":        {"twilio", 201, `{"sid":"SM1","status":"failed","error_code":30007,"error_message":"Carrier violation"}`, "sms: twilio: twilio error: Carrier violation 30007 for message SM1", true},
		"twilio, undelivered":   {"twilio", 200, `{"sid":"SM1","status":"undelivered","error_code":"30005","error_message":"Unknown"}`, "sms: twilio: twilio error: Unknown 30005 for message SM1", true},
		"twilio, no id":         {"twilio", 201, `{"status":"queued"}`, "sms: twilio: no usable answer (status 201)", false},
		"twilio, other success": {"twilio", 202, `{"sid":"SM1","status":"queued"}`, "sms: twilio: no usable answer (status 202)", false},
		"verify, fraud":         {"twilio_verify", 403, `{"code":60410,"message":"blocked"}`, "sms: twilio_verify: blocked", true},
		"messagebird, number":   {"messagebird", 422, `{"errors":[{"code":10,"description":"no (correct) recipients found","parameter":"recipient"}]}`, "sms: messagebird: no (correct) recipients found", true},
		"messagebird, key":      {"messagebird", 401, `{"errors":[{"code":2,"description":"Request not allowed (incorrect access_key)","parameter":"access_key"}]}`, "sms: messagebird: Request not allowed (incorrect access_key)", false},
		"messagebird, no text":  {"messagebird", 422, `{"errors":[{"code":25}]}`, "sms: messagebird: refused with code 25", false},
		"messagebird, 200":      {"messagebird", 200, `{"errors":[{"code":25,"description":"Not enough balance"}]}`, "sms: messagebird: Not enough balance", false},
		"messagebird, none":     {"messagebird", 422, `{"errors":[]}`, "sms: messagebird: no usable answer (status 422)", false},
		"messagebird, nobody":   {"messagebird", 201, `{"id":"x","recipients":{"totalSentCount":0}}`, "sms: messagebird: the message was sent to nobody", true},
		"messagebird, no id":    {"messagebird", 200, `{"recipients":{"totalSentCount":1}}`, "sms: messagebird: no usable answer (status 200)", false},
		"textlocal, number":     {"textlocal", 200, `{"errors":[{"code":51,"message":"No valid numbers specified"}],"status":"failure"}`, "sms: textlocal: No valid numbers specified (code: 51)", true},
		"textlocal, credits":    {"textlocal", 200, `{"errors":[{"code":7,"message":"Insufficient credits"}],"status":"failure"}`, "sms: textlocal: Insufficient credits (code: 7)", false},
		"textlocal, template":   {"textlocal", 200, `{"errors":[{"code":80,"message":"Invalid template: Your code is 735912"}],"status":"failure"}`, "sms: textlocal: Invalid template: [redacted] (code: 80)", true},
		"textlocal, none":       {"textlocal", 200, `{"errors":[],"status":"failure"}`, "sms: textlocal: no usable answer (status 200)", false},
		"textlocal, status":     {"textlocal", 500, `{"status":"success","messages":[{"id":"1"}]}`, "sms: textlocal: no usable answer (status 500)", false},
		"vonage, throttled":     {"vonage", 200, `{"messages":[{"status":"1","error-text":"Throughput Rate Exceeded"}]}`, "sms: vonage: Throughput Rate Exceeded", false},
		"vonage, number":        {"vonage", 200, `{"messages":[{"status":3,"error-text":"to address is not numeric"}]}`, "sms: vonage: to address is not numeric", true},
		"vonage, credentials":   {"vonage", 200, `{"messages":[{"status":"4","error-text":"Bad Credentials: abcd1234/hunter2hunter2"}]}`, "sms: vonage: Bad Credentials: [redacted]/[redacted]", false},
		"vonage, no text":       {"vonage", 200, `{"messages":[{"status":"5"}]}`, "sms: vonage: refused with code 5", false},
		"vonage, no messages":   {"vonage", 200, `{"message-count":"0","messages":[]}`, "sms: vonage: no usable answer (status 200)", false},
		"vonage, no status":     {"vonage", 200, `{"messages":[{"message-id":"x"}]}`, "sms: vonage: no usable answer (status 200)", false},
		"vonage, HTTP status":   {"vonage", 503, `{"messages":[{"message-id":"x","status":"0"}]}`, "sms: vonage: no usable answer (status 503)", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, c.status, c.answer)
			id, err := f.all()[c.service].Send(t.Context(), message())
			require.EqualError(t, err, c.says)
			require.Equal(t, c.permanent, Permanent(err))
			require.Empty(t, id)
			var told *Error
			require.ErrorAs(t, err, &told)
			require.Equal(t, c.status, told.Status)
		})
	}
}

// Whatever a service answers that is no answer, it is an error that can be tried again.
func TestNoAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
	}{
		"server error":  {500, "Internal Server Error"},
		"bad gateway":   {502, "<html>bad gateway</html>"},
		"empty":         {200, ""},
		"null":          {200, "null"},
		"empty object":  {200, "{}"},
		"empty array":   {200, "[]"},
		"text":          {200, `"ok"`},
		"number":        {200, "1"},
		"half":          {200, `{"sid":"SM1","status":"que`},
		"wrong types":   {200, `{"sid":1,"status":{},"id":[],"messages":{},"errors":7,"recipients":[]}`},
		"nulls":         {200, `{"sid":null,"status":null,"id":null,"messages":[null],"errors":null,"recipients":null}`},
		"null error":    {400, `{"errors":[null],"code":null,"message":null}`},
		"no content":    {204, ""},
		"deep":          {200, strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)},
		"large":         {200, strings.Repeat("x", 10<<20)},
		"large number":  {200, `{"sid":"x","status":` + strings.Repeat("9", 1000) + `}`},
		"control bytes": {400, "\x00\x01\x02"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, c.status, c.answer)
			for service, s := range f.all() {
				id, err := s.Send(t.Context(), message())
				require.Error(t, err, service)
				require.False(t, Permanent(err), "%s: %v", service, err)
				require.Empty(t, id)
				require.Less(t, len(err.Error()), 500)
			}
			_, err := f.twilioVerify().Check(t.Context(), "4915112345678", theCode)
			require.Error(t, err)
		})
	}
}

func TestNeverAnswered(t *testing.T) {
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(done)
	s := &Vonage{APIKey: "a", APISecret: "b", From: "c", BaseURL: srv.URL, Timeout: 20 * time.Millisecond}
	_, err := s.Send(t.Context(), message())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, Permanent(err))
	require.NotContains(t, err.Error(), srv.URL)

	slow := &Vonage{APIKey: "a", APISecret: "b", From: "c", BaseURL: srv.URL, Client: &http.Client{Timeout: 20 * time.Millisecond}}
	_, err = slow.Send(t.Context(), message())
	require.ErrorIs(t, err, context.DeadlineExceeded)

	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the server ends")
	cancel(gone)
	_, err = (&Vonage{APIKey: "a", APISecret: "b", From: "c", BaseURL: srv.URL}).Send(ctx, message())
	require.ErrorIs(t, err, gone)
}

// A redirect would take the credentials and the code elsewhere.
func TestNotRedirected(t *testing.T) {
	other := newFake(t, 200, accepted()["twilio"])
	srv := httptest.NewServer(http.RedirectHandler(other.url, http.StatusTemporaryRedirect))
	defer srv.Close()
	s := other.twilio()
	s.BaseURL = srv.URL
	_, err := s.Send(t.Context(), message())
	require.ErrorIs(t, err, outbound.ErrRedirect)
	require.Zero(t, other.count)
}

// Without a BaseURL of the host's, names that lead inside aren't followed; with a client
// of the host's it is his affair.
func TestClients(t *testing.T) {
	f := newFake(t, 200, accepted()["twilio"])
	to, err := url.Parse(f.url)
	require.NoError(t, err)
	rerouted := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		assert.Equal(t, "https://api.twilio.com/2010-04-01/Accounts/AC0123/Messages.json", r.URL.String())
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
		return http.DefaultTransport.RoundTrip(r)
	})}
	s := f.twilio()
	s.BaseURL = ""
	id, err := WithClient(s, rerouted).Send(t.Context(), message())
	require.NoError(t, err)
	require.Equal(t, "m1", id)
	require.Nil(t, s.Client)
	for name, s := range f.all() {
		require.NotSame(t, s, WithClient(s, rerouted), name)
		require.Equal(t, s, WithClient(s, nil))
		with := WithClient(s, rerouted)
		require.Same(t, with, WithClient(with, http.DefaultClient), name)
		require.NoError(t, with.(interface{ Validate() error }).Validate())
		with.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	}
	box := &Inbox{}
	require.Same(t, box, WithClient(box, rerouted))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
		good   bool
		fails  string
	}{
		"good":           {200, `{"status":"approved","valid":true}`, true, ""},
		"created":        {201, `{"status":"approved","valid":true}`, true, ""},
		"wrong":          {200, `{"status":"pending","valid":false}`, false, ""},
		"only valid":     {200, `{"status":"pending","valid":true}`, false, ""},
		"only approved":  {200, `{"status":"approved","valid":false}`, false, ""},
		"none waiting":   {404, `{"code":20404,"message":"The requested resource /Services/VA0789/VerificationCheck was not found","status":404}`, false, ""},
		"too many":       {429, `{"code":60202,"message":"Max check attempts reached"}`, false, ""},
		"can't be one":   {400, `{"code":60200,"message":"Invalid parameter"}`, false, ""},
		"credentials":    {401, `{"code":20003,"message":"Authenticate 735912"}`, false, "sms: twilio_verify: Authenticate [redacted]"},
		"not found":      {404, `not found`, false, "sms: twilio_verify: no usable answer (status 404)"},
		"no status":      {200, `{"valid":true}`, false, "sms: twilio_verify: no usable answer (status 200)"},
		"valid as text":  {200, `{"status":"approved","valid":"true"}`, false, "sms: twilio_verify: no usable answer (status 200)"},
		"other success":  {202, `{"status":"approved","valid":true}`, false, "sms: twilio_verify: no usable answer (status 202)"},
		"server trouble": {503, `{"code":0,"message":"Service is unavailable"}`, false, "sms: twilio_verify: Service is unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, c.status, c.answer)
			var checker Checker = f.twilioVerify()
			good, err := checker.Check(t.Context(), "4915112345678", theCode)
			require.Equal(t, c.good, good)
			if c.fails != "" {
				require.EqualError(t, err, c.fails)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, sent{"/v2/Services/VA0789/VerificationCheck", url.Values{"To": {"+4915112345678"}, "Code": {theCode}}, basic("AC0123", "hunter2hunter2")}, f.got)
		})
	}
	// Also where the code that was guessed begins with the service's own of the error.
	for _, guess := range []string{"204040", "20404"} {
		good, err := newFake(t, 404, `{"code":20404,"message":"not found"}`).twilioVerify().Check(t.Context(), "4915112345678", guess)
		require.NoError(t, err)
		require.False(t, good)
	}
	f := newFake(t, 200, `{"status":"approved","valid":true}`)
	for _, code := range []string{"", "123", "12345678901", "12345a", "１２３４５６", strings.Repeat("1", 1<<20)} {
		good, err := f.twilioVerify().Check(t.Context(), "4915112345678", code)
		require.NoError(t, err)
		require.False(t, good)
	}
	require.Zero(t, f.count)
}

func TestValidate(t *testing.T) {
	good := &fake{url: "https://sms.example.com"}
	for name, s := range good.all() {
		require.NoError(t, s.(interface{ Validate() error }).Validate(), name)
	}
	for want, s := range map[string]Sender{
		"Twilio.AccountSID is missing":       &Twilio{AuthToken: "b", From: "c"},
		"Twilio.AuthToken is missing":        &Twilio{AccountSID: "a", From: "c"},
		"Twilio.From is missing":             &Twilio{AccountSID: "a", AuthToken: "b"},
		"Twilio.AuthToken has spaces":        &Twilio{AccountSID: "a", AuthToken: "b\n", From: "c"},
		"Twilio.ContentSID has spaces":       &Twilio{AccountSID: "a", AuthToken: "b", From: "c", ContentSID: " x"},
		"Twilio.Timeout -1s is negative":     &Twilio{AccountSID: "a", AuthToken: "b", From: "c", Timeout: -time.Second},
		"Twilio.BaseURL is no web address":   &Twilio{AccountSID: "a", AuthToken: "b", From: "c", BaseURL: "api.x.com"},
		"would send credentials in clear":    &Twilio{AccountSID: "a", AuthToken: "b", From: "c", BaseURL: "http://api.x.com"},
		"TwilioVerify.AccountSID is missing": &TwilioVerify{AuthToken: "b", ServiceSID: "c"},
		"TwilioVerify.AuthToken is missing":  &TwilioVerify{AccountSID: "a", ServiceSID: "c"},
		"TwilioVerify.ServiceSID is missing": &TwilioVerify{AccountSID: "a", AuthToken: "b"},
		"TwilioVerify.BaseURL":               &TwilioVerify{AccountSID: "a", AuthToken: "b", ServiceSID: "c", BaseURL: "https://u:p@x.com"},
		"MessageBird.AccessKey is missing":   &MessageBird{Originator: "b"},
		"MessageBird.Originator is missing":  &MessageBird{AccessKey: "a"},
		"MessageBird.BaseURL":                &MessageBird{AccessKey: "a", Originator: "b", BaseURL: "https://x.com?y"},
		"TextLocal.APIKey is missing":        &TextLocal{Sender: "b"},
		"TextLocal.Sender is missing":        &TextLocal{APIKey: "a"},
		"TextLocal.BaseURL":                  &TextLocal{APIKey: "a", Sender: "b", BaseURL: "ftp://x.com"},
		"Vonage.APIKey is missing":           &Vonage{APISecret: "b", From: "c"},
		"Vonage.APISecret is missing":        &Vonage{APIKey: "a", From: "c"},
		"Vonage.From is missing":             &Vonage{APIKey: "a", APISecret: "b"},
		"Vonage.BaseURL":                     &Vonage{APIKey: "a", APISecret: "b", From: "c", BaseURL: "://"},
		"the *Twilio is nil":                 (*Twilio)(nil),
		"the *TwilioVerify is nil":           (*TwilioVerify)(nil),
		"the *MessageBird is nil":            (*MessageBird)(nil),
		"the *TextLocal is nil":              (*TextLocal)(nil),
		"the *Vonage is nil":                 (*Vonage)(nil),
	} {
		require.ErrorContains(t, s.(interface{ Validate() error }).Validate(), want)
		_, err := s.Send(t.Context(), message())
		require.ErrorContains(t, err, want, "Send says it too")
	}
	_, err := (&TwilioVerify{}).Check(t.Context(), "4915112345678", theCode)
	require.ErrorContains(t, err, "AccountSID")
}

// An error never holds what was sent, in whatever form the service repeats it.
func TestScrubbed(t *testing.T) {
	m := message()
	for _, said := range []string{
		m.Body, m.Code, "YOUR CODE IS 735912", "Your  code\nis 735912", "7 3 5 9 1 2", "735-912", "735.912", "code=735912&to=4915112345678",
		"Your+code+is+735912", "Your%20code%20is%20735912", "%37%33%35%39%31%32", "&#55;&#51;&#53;&#57;&#49;&#50;", "Your code is 73591",
		"+4915112345678", "+49 151 1234 5678", "hunter2hunter2", "HUNTER2HUNTER2",
	} {
		answer := fmt.Sprintf(`{"errors":[{"code":25,"description":%q}]}`, "the text was: "+said)
		_, err := newFake(t, 422, answer).messageBird().Send(t.Context(), m)
		require.Error(t, err)
		for _, secret := range []string{"735912", "73591", "7 3", "735-9", "4915112345678", "1234 5678", "%37", "&#55;"} {
			require.NotContains(t, err.Error(), secret, said)
		}
		require.NotContains(t, strings.ToLower(err.Error()), "hunter2hunter2", said)
	}
	_, err := newFake(t, 422, `{"errors":[{"code":"735912","description":""}]}`).messageBird().Send(t.Context(), m)
	require.NotContains(t, err.Error(), "735912")
	_, err = newFake(t, 422, `{"errors":[{"code":1,"description":"`+strings.Repeat("é", 5000)+`"}]}`).messageBird().Send(t.Context(), m)
	require.Less(t, len(err.Error()), 400)
}

// fuzzAnswers lets any answer come to a parser.
func fuzzAnswers(f *testing.F, parse func(call, outbound.Answer) (string, error), seeds ...string) {
	f.Helper()
	for _, s := range seeds {
		f.Add(200, []byte(s))
		f.Add(400, []byte(s))
	}
	f.Add(200, []byte(`{"messages":[],"errors":[{"description":"Your code is 735912 or 7 3 5 9 1 2"}],"message":"735%3912"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		m := message()
		c := call{service: "service", secrets: secrets{"hunter2hunter2"}.of(m)}
		id, err := parse(c, outbound.Answer{Status: status, Body: body})
		if err == nil {
			return
		}
		require.Empty(t, id)
		require.Less(t, len(err.Error()), 2*maxSaid)
		for _, secret := range []string{m.Body, m.Code, m.To, "hunter2hunter2"} {
			require.NotContains(t, err.Error(), secret)
		}
		require.NotContains(t, err.Error(), "\n")
	})
}

func FuzzTwilio(f *testing.F) {
	fuzzAnswers(f, call.twilioMessage, accepted()["twilio"], `{"code":21211,"message":"735912","more_info":"x"}`, `{"status":"failed","error_code":"1","sid":"735912"}`)
}

func FuzzTwilioCheck(f *testing.F) {
	fuzzAnswers(f, func(c call, a outbound.Answer) (string, error) {
		_, err := c.twilioCheck(a)
		return "", err
	}, `{"status":"approved","valid":true}`, `{"code":20404,"message":"no"}`)
}

func FuzzMessageBird(f *testing.F) {
	fuzzAnswers(f, call.messageBird, accepted()["messagebird"], `{"errors":[{"code":2,"description":"735912"}]}`, `{"errors":[]}`)
}

func FuzzTextLocal(f *testing.F) {
	fuzzAnswers(f, call.textLocal, accepted()["textlocal"], `{"errors":[{"code":80,"message":"735912"}]}`, `{"status":"success","messages":[]}`)
}

func FuzzVonage(f *testing.F) {
	fuzzAnswers(f, call.vonage, accepted()["vonage"], `{"messages":[{"status":"3","error-text":"735912"}]}`, `{"messages":[]}`)
}
