package gotrue

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/human"
)

// human makes a route ask for a captcha's token, where a captcha is on. An administrator's
// bearer stands in for one.
func (d *Dialect) human(do endpoint.Func) endpoint.Func {
	if d.Human == nil {
		return do
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Header.Get("Authorization") != "" {
			switch _, err := d.admin(r); {
			case err == nil:
				return do(w, r)
			case !refused(err):
				return err
			}
		}
		r, token, err := captchaToken(r)
		if err != nil {
			return err
		}
		if err := d.Human.Pass(r.Context(), token); err != nil {
			return err
		}
		return do(w, r)
	}
}

// captchaToken reads the token from a body, and gives a request that has the body still.
func captchaToken(r *http.Request) (*http.Request, string, error) {
	body, err := endpoint.Body(r)
	if err != nil {
		return nil, "", err
	}
	var b struct {
		Meta json.RawMessage `json:"gotrue_meta_security"`
	}
	if err := endpoint.Unmarshal(body, &b); err != nil {
		return nil, "", err
	}
	whole := r.WithContext(r.Context())
	whole.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), r.Body}
	return whole, human.Token(b.Meta), nil
}
