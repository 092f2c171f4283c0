package sms_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/truekeel/auth/sms"
)

// gateway plays Twilio's API.
func gateway(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("To") != "+15551234567" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, `{"code": 21211, "message": "Invalid 'To' Phone Number"}`)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprint(w, `{"sid": "SM42", "status": "queued"}`)
}

// A service is a struct. Its BaseURL leads to a fake here.
func ExampleTwilio() {
	srv := httptest.NewServer(http.HandlerFunc(gateway))
	defer srv.Close()
	var sender sms.Sender = &sms.Twilio{AccountSID: "AC1", AuthToken: "token", From: "MG1", BaseURL: srv.URL}

	id, err := sender.Send(context.Background(), sms.Message{To: "15551234567", Body: "Your code is 735912", Code: "735912"})
	fmt.Println(id, err)
	_, err = sender.Send(context.Background(), sms.Message{To: "15550000000", Body: "Your code is 735912", Code: "735912"})
	fmt.Println(err, sms.Permanent(err))
	// Output:
	// SM42 <nil>
	// sms: twilio: Invalid 'To' Phone Number true
}

// A guard says where messages may go.
func ExampleGuard() {
	guard := sms.Guard{Countries: []string{"US", "DE"}}
	for _, number := range []string{"+15551234567", "+4915112345678", "+18765551234", "+19005551234"} {
		v := guard.Check(number)
		fmt.Println(number, v.Allowed(), v.Refused, v.Prefix)
	}
	// Output:
	// +15551234567 true  1555123
	// +4915112345678 true  491511234
	// +18765551234 false country 1876555
	// +19005551234 false range 1900555
}

// An inbox shows a test what a person would read.
func ExampleInbox() {
	var box sms.Inbox
	_, _ = box.Send(context.Background(), sms.Message{To: "15551234567", Body: "Your code is 735912", Code: "735912"})
	m, ok := box.Last("15551234567")
	fmt.Println(ok, m.Code)
	// Output:
	// true 735912
}

// Any function can send.
func ExampleFunc() {
	var sender sms.Sender = sms.Func(func(_ context.Context, m sms.Message) (string, error) {
		return "", fmt.Errorf("%w: no such number", sms.ErrPermanent)
	})
	_, err := sender.Send(context.Background(), sms.Message{To: "15551234567"})
	fmt.Println(sms.Permanent(err), errors.Is(err, sms.ErrPermanent))
	// Output:
	// true true
}
