// Package place says where the library is reached and where its people land.
//
// Both are settings of the host. Without them the server answers loopback hosts only,
// and the place of a request is the loopback host that it came to.
package place

import "context"

// Place is a pair of URLs without a trailing slash.
type Place struct {
	External string // where the handler is reached, base path included: links, callbacks, issuer
	Site     string // where people land: the front end
}

// Known reports whether links can be made.
func (p Place) Known() bool { return p.External != "" }

type key struct{}

// With gives a context that carries the place of a request.
func With(ctx context.Context, p Place) context.Context { return context.WithValue(ctx, key{}, p) }

// From gives the place of the request; the zero Place if there is none.
func From(ctx context.Context) Place {
	p, _ := ctx.Value(key{}).(Place)
	return p
}
