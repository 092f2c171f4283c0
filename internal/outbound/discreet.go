package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
)

// Cause is err without the URL that net/http and net/url put in front, which may hold a
// secret.
func Cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Broke reports whether err is of an exchange that came to no answer: of the network, the
// clock, a certificate, net/http or this package. Its text is for a log: it may name hosts
// and addresses that only the inside of a network should know.
func Broke(err error) bool {
	var network net.Error // *url.Error is one too
	var certificate *tls.CertificateVerificationError
	var ours *discreet
	return errors.As(err, &network) || errors.As(err, &certificate) || errors.As(err, &ours)
}

// Discreet is the error of an exchange, fit for a log: without the URL, and with a text
// that says what the network, the certificate, the clock or this package say. What
// net/http says of an answer that is none quotes it, and who answers with what he was sent
// would have our own secrets quoted: all such errors have one text. It wraps err's cause.
func Discreet(err error) error { return &discreet{Cause(err)} }

type discreet struct{ err error }

func (d *discreet) Unwrap() error { return d.err }

func (d *discreet) Error() string {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	if errors.As(d.err, &network) || errors.As(d.err, &certificate) {
		return d.err.Error()
	}
	for _, known := range []error{ErrForbiddenAddress, ErrTooLarge, ErrRedirect, http.ErrSchemeMismatch, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(d.err, known) {
			return d.err.Error()
		}
	}
	return "the connection broke or the answer is no HTTP"
}
