package endpoint

import (
	"net/http"
	"net/url"
	"time"
)

// FlowCookie is a cookie that binds a way to an identity provider and back to a browser.
type FlowCookie struct {
	Name, Value string
	// CrossSite says that it must come along with a form that another site posts.
	CrossSite bool
	Life      time.Duration // zero: the browser drops it
}

// Set gives the browser the cookie, for the paths below base, the handler's own URL.
func (c FlowCookie) Set(w http.ResponseWriter, base string) {
	cookie := &http.Cookie{
		Name: c.Name, Value: c.Value, Path: "/", MaxAge: int(c.Life.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if u, err := url.Parse(base); err == nil {
		cookie.Secure = u.Scheme == "https"
		if u.Path != "" {
			cookie.Path = u.Path
		}
	}
	if c.CrossSite {
		// Browsers take SameSite=None only with Secure, and on loopback hosts without TLS too.
		cookie.Secure, cookie.SameSite = true, http.SameSiteNoneMode
	}
	if c.Life == 0 {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}
