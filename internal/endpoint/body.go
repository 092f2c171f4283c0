package endpoint

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/truekeel/auth/fault"
)

// MaxBody is the size of the largest body, in bytes.
const MaxBody = 1 << 20

// maxDepth is how deep JSON may be nested: what the poorest database keeps.
const maxDepth = 31

// Timed bounds by the context's deadline how long a client may take to send its body,
// where the server sets no time for that itself: a context ends no read.
func Timed(w http.ResponseWriter, r *http.Request) {
	until, ok := r.Context().Deadline()
	if srv, _ := r.Context().Value(http.ServerContextKey).(*http.Server); !ok || r.Body == http.NoBody || srv != nil && srv.ReadTimeout > 0 {
		return
	}
	r.Body = &timedBody{ReadCloser: r.Body, deadline: http.NewResponseController(w).SetReadDeadline, until: until}
}

// timedBody reads under a deadline, which it takes back at the body's end: the server
// goes on reading the connection.
type timedBody struct {
	io.ReadCloser
	deadline func(time.Time) error
	until    time.Time
	begun    bool
}

func (b *timedBody) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		_ = b.deadline(b.until) // some writers have none; then the server is on its own
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.deadline(time.Time{})
	}
	return n, err
}

// Body reads the whole body of a request.
func Body(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, MaxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, fault.New(fault.RequestEntityTooLarge, "Request body too large (max %d bytes)", MaxBody)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fault.New(fault.RequestTimeout, "The request body did not arrive in time").WithCause(err)
	}
	if err != nil {
		return nil, fault.New(fault.BadJSON, "Could not read the request body").WithCause(err)
	}
	return b, nil
}

// Decode reads a JSON object from the body of a request into v. Unknown members are
// ignored; of repeated ones the last counts; null is an empty object.
func Decode(r *http.Request, v any) error {
	body, err := Body(r)
	if err != nil {
		return err
	}
	return Unmarshal(body, v)
}

// Unmarshal is Decode for bytes at hand. It refuses what no database keeps: text with
// NUL, half surrogates, numbers beyond a double's range, nesting without end.
func Unmarshal(body []byte, v any) error {
	if !utf8.Valid(body) {
		return fault.New(fault.BadJSON, "Could not parse request body as JSON: invalid UTF-8")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fault.New(fault.BadJSON, "Could not parse request body as JSON: %s", reason(err))
	}
	return Keepable(body)
}

// reason tells what is wrong without the names of our types.
func reason(err error) string {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		field := t.Field
		if field == "" {
			field = "the body"
		}
		return "cannot read a " + t.Value + " as " + field
	}
	return err.Error()
}

var (
	errNUL       = fault.New(fault.ValidationFailed, "Text may not contain NUL characters")
	errSurrogate = fault.New(fault.ValidationFailed, "Text may not contain half of a surrogate pair")
	errDepth     = fault.New(fault.ValidationFailed, "JSON is nested too deeply (at most %d levels)", maxDepth)
	errNumber    = fault.New(fault.ValidationFailed, "A number is out of range")
)

// Keepable refuses JSON text, known to be valid, that not every database keeps.
func Keepable(b []byte) error {
	depth := 0
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			end, err := keepableString(b, i+1)
			if err != nil {
				return err
			}
			i = end
			continue
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return errDepth
			}
		case c == '}' || c == ']':
			depth--
		case c == '-' || '0' <= c && c <= '9':
			end := i
			for end < len(b) && isNumber(b[end]) {
				end++
			}
			if err := keepableNumber(string(b[i:end])); err != nil {
				return err
			}
			i = end
			continue
		}
		i++
	}
	return nil
}

// keepableString checks a string from behind its opening quote and gives the place
// behind the closing one.
func keepableString(b []byte, i int) (int, error) {
	half := false // the escape before was the first half of a pair
	for i < len(b) {
		if b[i] != '\\' {
			if half {
				return 0, errSurrogate
			}
			if b[i] == '"' {
				return i + 1, nil
			}
			i++
			continue
		}
		if i+1 >= len(b) || b[i+1] != 'u' || i+6 > len(b) {
			if half {
				return 0, errSurrogate
			}
			i += 2
			continue
		}
		n, _ := strconv.ParseUint(string(b[i+2:i+6]), 16, 16)
		low := 0xdc00 <= n && n <= 0xdfff
		if low != half {
			return 0, errSurrogate
		}
		if n == 0 {
			return 0, errNUL
		}
		half = 0xd800 <= n && n <= 0xdbff
		i += 6
	}
	return i, nil
}

func isNumber(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

// keepableNumber refuses what a double can't hold and what takes a database's decimal
// arithmetic to its limits.
func keepableNumber(s string) error {
	if len(s) > 128 {
		return errNumber
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || (f == 0 && !isZero(s)) {
		return errNumber
	}
	return nil
}

// isZero reports whether a number's text has no digit but 0 before its exponent.
func isZero(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c == 'e' || c == 'E':
			return true
		case '1' <= c && c <= '9':
			return false
		}
	}
	return true
}
