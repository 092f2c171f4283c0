package providers

import (
	"context"
	"net/http"
	"time"

	"github.com/truekeel/auth/internal/outbound"
)

// Outbound is what providers reach the world with: an HTTP client and a clock. Several
// providers may share one; it is safe for concurrent use.
type Outbound struct {
	public, internal *http.Client
	now              func() time.Time
	open             context.Context // ends with Close
	end              context.CancelFunc
}

// NewOutbound makes an Outbound. A nil client means the built-in one, which refuses
// loopback, private and link-local addresses when it dials (but for providers that are
// configured as internal). A client of one's own is used for all providers; its answers
// are bounded likewise, which addresses it reaches is its own affair. A nil now means
// time.Now.
func NewOutbound(client *http.Client, now func() time.Time) *Outbound {
	if now == nil {
		now = time.Now
	}
	open, end := context.WithCancel(context.Background())
	o := &Outbound{now: now, open: open, end: end}
	if client == nil {
		o.public, o.internal = outbound.Client(false), outbound.Client(true)
		return o
	}
	o.public = outbound.Bound(client)
	o.internal = o.public
	return o
}

// Close gives up fetches that go on in the background for several sign-ins, and closes
// idle connections. After it, nothing can be discovered any more.
func (o *Outbound) Close() {
	o.end()
	o.public.CloseIdleConnections()
	o.internal.CloseIdleConnections()
}

// Connector is what a Provider also implements if it makes requests.
type Connector interface {
	// Connect gives the provider working over o. It refuses a bad configuration with
	// ErrConfig and makes no request.
	Connect(o *Outbound) (Provider, error)
}

// Connect gives p as it works over o. What p has discovered so far isn't shared, so one
// value may be connected several times. A Provider that is no Connector comes back as
// it is. One that is never connected uses an Outbound of its own.
func Connect(p Provider, o *Outbound) (Provider, error) {
	if c, ok := p.(Connector); ok {
		return c.Connect(o)
	}
	return p, nil
}
