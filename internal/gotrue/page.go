package gotrue

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// pageStyle is the one style sheet of the link's page; its hash stands in the policy.
const pageStyle = `body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;background:#f4f5f7;color:#1c1e21;font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}main{max-width:24rem;margin:1rem;padding:2rem;border-radius:.75rem;background:#fff;box-shadow:0 1px 4px rgba(0,0,0,.12);text-align:center}h1{margin:0 0 .5rem;font-size:1.25rem}p{margin:0 0 1.5rem;color:#5a6069}button{width:100%;padding:.75rem;border:0;border-radius:.5rem;background:#1f5eff;color:#fff;font:inherit;font-weight:600;cursor:pointer}button:focus-visible{outline:3px solid #9dbaff}@media(prefers-color-scheme:dark){body{background:#17191d;color:#eceef1}main{background:#23262c}p{color:#a9b0ba}}`

const pageText = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="referrer" content="same-origin">
<title>{{.Title}}</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
<form method="post">
<input type="hidden" name="token" value="{{.Token}}">
<input type="hidden" name="type" value="{{.Type}}">
<input type="hidden" name="redirect_to" value="{{.RedirectTo}}">
<button id="confirm" type="submit" autofocus>{{.Button}}</button>
</form>
</main>
</body>
</html>
`

// The page's header tells browsers to send no referrer. Its form needs another policy:
// with none, browsers that send no Sec-Fetch-Site (where there is no TLS) would post
// Origin: null, which looks like another site's.

// page is what a mailed link shows to whoever opens it: a person presses its button, a
// mail scanner doesn't.
type page struct {
	text   *template.Template
	policy string
}

func newPage() page {
	sum := sha256.Sum256([]byte(pageStyle))
	return page{
		text:   template.Must(template.New("link").Parse(pageText)),
		policy: "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
	}
}

// words are what a page says for a type of link.
func words(kind string) (title, text, button string) {
	switch kind {
	case "recovery":
		return "Reset your password", "Continue to choose a new password.", "Continue"
	case "magiclink":
		return "Sign in", "Continue to sign in to your account.", "Sign in"
	case "invite":
		return "Accept the invitation", "Continue to accept the invitation.", "Accept"
	case "email_change":
		return "Confirm your email address", "Continue to confirm the change of your email address.", "Confirm"
	}
	return "Confirm your email address", "Continue to confirm that this address is yours.", "Confirm"
}

func (p page) write(w http.ResponseWriter, _ *http.Request, l link) error {
	title, text, button := words(l.kind)
	var b bytes.Buffer
	err := p.text.Execute(&b, map[string]any{
		"Title": title, "Text": text, "Button": button, "Style": template.CSS(pageStyle), // #nosec G203 -- a constant
		"Token": l.token, "Type": l.kind, "RedirectTo": l.redirectTo,
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b.Bytes()) // the client may be gone; there is nobody to tell
	return nil
}
