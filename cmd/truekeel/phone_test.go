package main

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// smsWorld is a client for which every service takes each message, and gives it an id
// that repeats the request.
func smsWorld() *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		user, pass, _ := r.BasicAuth()
		id := strconv.Quote(strings.Join([]string{r.URL.Path, user, pass, r.Header.Get("Authorization"), form.Encode()}, " "))
		answer := map[string]string{
			"api.twilio.com":       `{"sid":` + id + `,"status":"queued"}`,
			"verify.twilio.com":    `{"sid":` + id + `,"status":"approved","valid":true}`,
			"rest.messagebird.com": `{"id":` + id + `,"recipients":{"totalSentCount":1}}`,
			"api.textlocal.in":     `{"status":"success","messages":[{"id":` + id + `}]}`,
			"rest.nexmo.com":       `{"messages":[{"status":"0","message-id":` + id + `}]}`,
		}[r.URL.Host]
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
	})}
}

const (
	german   = "4917112345678"
	reviewer = "15005550100"
)

// phones are the variables of a server that sends by Twilio.
func phones(pairs ...string) map[string]string {
	m := env("GOTRUE_EXTERNAL_PHONE_ENABLED", "true", "GOTRUE_SMS_PROVIDER", "twilio", "GOTRUE_SMS_TWILIO_ACCOUNT_SID", "AC1",
		"GOTRUE_SMS_TWILIO_AUTH_TOKEN", "token1", "GOTRUE_SMS_TWILIO_MESSAGE_SERVICE_SID", "MG1")
	maps.Copy(m, env(pairs...))
	return m
}

func (w *world) code(number, channel string) reply {
	w.t.Helper()
	return w.post("/otp", object{"phone": number, "channel": channel})
}

// sentTo sends a code and gives the request by which the service was asked for it.
func sentTo(w *world, number, channel string) string {
	text, err := url.QueryUnescape(w.code(number, channel).field("message_id"))
	if err != nil {
		return err.Error()
	}
	return text
}

// sent observes a part of that request.
func sent(part, channel string) func(w *world) string {
	return func(w *world) string { return strconv.FormatBool(strings.Contains(sentTo(w, german, channel), part)) }
}

// codesFor observes the answers to requests for codes.
func codesFor(numbers ...string) func(w *world) string {
	return func(w *world) string {
		var last string
		for _, n := range numbers {
			last = w.code(n, "").String()
		}
		return last
	}
}

// codeIn finds the code in a message.
var codeIn = regexp.MustCompile(`Body=\D*(\d+)`)

func codeSent(w *world) string {
	found := codeIn.FindStringSubmatch(sentTo(w, german, ""))
	if found == nil {
		return ""
	}
	return found[1]
}

func setting(field string) func(w *world) string {
	return func(w *world) string { return w.ask("GET", "/settings", nil).field(field) }
}

func phoneEffects() map[string]effect {
	often := phones("GOTRUE_SMS_MAX_FREQUENCY", "0")
	later := func(w *world) string {
		code := codeSent(w)
		w.clock.Advance(2 * time.Minute)
		return w.post("/verify", object{"type": "sms", "phone": german, "token": code}).String()
	}
	test := func(w *world) string { return w.code(reviewer, "").field("message_id") }
	notTest := func(w *world) string { return strconv.FormatBool(test(w) != "test-otp") }
	out := map[string]effect{
		"GOTRUE_EXTERNAL_PHONE_ENABLED":   {value: "true", env: phones("GOTRUE_EXTERNAL_PHONE_ENABLED", ""), see: setting("external.phone"), want: "true"},
		"GOTRUE_SMS_AUTOCONFIRM":          {value: "true", env: phones(), see: setting("phone_autoconfirm"), want: "true"},
		"GOTRUE_SMS_MAX_FREQUENCY":        {value: "0", env: phones(), see: codesFor(german, german), want: "200"},
		"GOTRUE_SMS_OTP_EXP":              {value: "300", env: phones(), see: later, want: "200"},
		"GOTRUE_SMS_OTP_LENGTH":           {value: "8", env: phones(), see: func(w *world) string { return strconv.Itoa(len(codeSent(w))) }, want: "8"},
		"GOTRUE_SMS_TEMPLATE":             {value: "Acme: {{ .Code }}", env: phones(), see: sent("Body=Acme: ", ""), want: "true"},
		"GOTRUE_SMS_TEST_OTP":             {value: reviewer + ":123456", env: phones(), see: test, want: "test-otp"},
		"GOTRUE_SMS_TEST_OTP_VALID_UNTIL": {value: "2001-01-01T00:00:00Z", env: phones("GOTRUE_SMS_TEST_OTP", reviewer+":123456"), see: notTest, want: "true"},
		"GOTRUE_SMS_ALLOWED_COUNTRIES":    {value: "FR,US", env: phones(), see: codesFor(german), want: "400 validation_failed"},
		"GOTRUE_SMS_DENIED_RANGES":        {value: "4917", env: phones(), see: codesFor(german), want: "400 validation_failed"},
		"GOTRUE_SMS_ALLOW_PREMIUM":        {value: "true", env: phones(), see: codesFor("19001234567"), want: "200"},
		"GOTRUE_SMS_LIMIT_NUMBER_HOUR":    {value: "1", env: often, see: codesFor(german, german), want: "429 over_sms_send_rate_limit"},
		"GOTRUE_SMS_LIMIT_NUMBER_DAY":     {value: "1", env: often, see: codesFor(german, german), want: "429 over_sms_send_rate_limit"},
		"GOTRUE_SMS_LIMIT_RANGE_HOUR":     {value: "1", env: often, see: codesFor("4917112340001", "4917112340002"), want: "429 over_sms_send_rate_limit"},
		"GOTRUE_RATE_LIMIT_SMS_SENT":      {value: "0", env: phones(), see: codesFor(german), want: "429 over_sms_send_rate_limit"},
		"GOTRUE_SMS_PROVIDER":             {value: "twilio", env: phones("GOTRUE_SMS_PROVIDER", ""), see: setting("sms_provider"), want: "twilio"},
		"GOTRUE_SMS_TWILIO_CONTENT_SID":   {value: "HX7", env: phones(), see: sent("ContentSid=HX7", "whatsapp"), want: "true"},
	}
	maps.Copy(out, credentialEffects())
	for name, e := range out {
		e.client = smsWorld()
		out[name] = e
	}
	return out
}

// credentialEffects are those of what the services gave.
func credentialEffects() map[string]effect {
	out := map[string]effect{}
	for provider, parts := range map[string]map[string]string{
		"twilio":        {"TWILIO_ACCOUNT_SID": "AC7", "TWILIO_AUTH_TOKEN": "token7", "TWILIO_MESSAGE_SERVICE_SID": "MG7"},
		"twilio_verify": {"TWILIO_VERIFY_ACCOUNT_SID": "AC7", "TWILIO_VERIFY_AUTH_TOKEN": "token7", "TWILIO_VERIFY_MESSAGE_SERVICE_SID": "VA7"},
		"messagebird":   {"MESSAGEBIRD_ACCESS_KEY": "key7", "MESSAGEBIRD_ORIGINATOR": "Acme7"},
		"textlocal":     {"TEXTLOCAL_API_KEY": "key7", "TEXTLOCAL_SENDER": "Acme7"},
		"vonage":        {"VONAGE_API_KEY": "key7", "VONAGE_API_SECRET": "secret7", "VONAGE_FROM": "Acme7"},
	} {
		all := env("GOTRUE_EXTERNAL_PHONE_ENABLED", "true", "GOTRUE_SMS_PROVIDER", provider)
		for key, value := range parts {
			all["GOTRUE_SMS_"+key] = value
		}
		for key, value := range parts {
			base := maps.Clone(all)
			base["GOTRUE_SMS_"+key] = ""
			out["GOTRUE_SMS_"+key] = effect{value: value, env: base, see: sent(value, ""), want: "true"}
		}
	}
	return out
}
