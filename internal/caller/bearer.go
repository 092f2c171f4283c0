package caller

import (
	"errors"
	"net/http"
	"strings"
)

var (
	// ErrNoBearer means that a request brings no bearer token: it has no
	// Authorization header, or one of another scheme.
	ErrNoBearer = errors.New("caller: no bearer token")
	// ErrMalformedBearer means that a request tries to bring a bearer token, and it
	// can't be read: two headers, no token, or blanks in it.
	ErrMalformedBearer = errors.New("caller: malformed bearer token")
)

// Bearer reads the token of an Authorization header (RFC 6750, section 2.1): the
// scheme in any case, exactly one space, and a token of visible ASCII. It fails with
// [ErrNoBearer] or [ErrMalformedBearer].
func Bearer(h http.Header) (token string, err error) {
	values := h.Values("Authorization")
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return "", ErrNoBearer
	}
	if len(values) > 1 {
		return "", ErrMalformedBearer
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ErrNoBearer
	}
	if token == "" || !isVisibleASCII(token) {
		return "", ErrMalformedBearer
	}
	return token, nil
}
