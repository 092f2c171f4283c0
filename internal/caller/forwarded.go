package caller

import (
	"net/http"
	"net/netip"
	"strings"
)

// client finds the address of r's client, and whether limits may count by it.
//
// The list in the header grows to the right: each proxy appends the address that it
// was called from. So the list is read from the right, past the trusted proxies; the
// first address that is none of them is the client's, and all left of it was written
// by the client.
func (rd *Reader) client(r *http.Request) (ip netip.Addr, limitable bool) {
	peer := parseHop(r.RemoteAddr)
	if !rd.believes(peer) {
		if Forwarded(r) {
			rd.warnOnce(r, "a forwarding header from a peer that is no trusted proxy is ignored; name the proxies if there are any", peer)
		}
		return peer, rd.canLimit(peer)
	}
	hops := hops(r.Header.Values(rd.c.Header))
	if len(hops) == 0 {
		if len(rd.c.TrustedProxies) > 0 {
			// Either the proxy itself asks, or it names no client: then everybody
			// would share its address.
			rd.warnOnce(r, "a trusted proxy doesn't send the forwarding header; its clients aren't limited by address", peer)
			return peer, false
		}
		return peer, rd.canLimit(peer)
	}
	ip = peer
	for i := len(hops) - 1; i >= 0; i-- {
		hop := parseHop(hops[i])
		if !hop.IsValid() {
			break
		}
		ip = hop
		if !rd.trusts(hop) {
			break
		}
	}
	return ip, rd.canLimit(ip)
}

// believes reports whether the header counts in a request that peer sent.
func (rd *Reader) believes(peer netip.Addr) bool {
	if rd.c.Header == "" {
		return false
	}
	return len(rd.c.TrustedProxies) == 0 || rd.trusts(peer)
}

func (rd *Reader) trusts(ip netip.Addr) bool {
	for _, p := range rd.c.TrustedProxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// canLimit reports whether ip stands for one client. Where no proxies are configured,
// an address that isn't public may be that of a proxy which nobody told us of.
func (rd *Reader) canLimit(ip netip.Addr) bool {
	if !ip.IsValid() {
		return false
	}
	return len(rd.c.TrustedProxies) > 0 || isPublic(ip)
}

func (rd *Reader) warnOnce(r *http.Request, msg string, peer netip.Addr) {
	rd.warn.Do(func() {
		rd.c.Logger.WarnContext(r.Context(), msg, "peer", peer.String(), "header", rd.c.Header)
	})
}

// isPublic reports whether ip is an address of the internet at large.
func isPublic(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	// RFC 6598, the network between a provider and its customers' routers; some
	// platforms put their load balancers there.
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)
	return !shared.Contains(ip)
}

// hops splits the lines of a list header, left to right.
func hops(lines []string) []string {
	list := strings.TrimSpace(strings.Join(lines, ","))
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// parseHop reads an address with or without a port or brackets. It is unmapped
// (::ffff:192.0.2.1 is 192.0.2.1) and has no zone; on anything else it isn't valid.
func parseHop(s string) netip.Addr {
	s = strings.Trim(s, " \t")
	ap, err := netip.ParseAddrPort(s)
	ip := ap.Addr()
	if err != nil {
		if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
			s = s[1 : len(s)-1]
		}
		ip, _ = netip.ParseAddr(s)
	}
	return ip.Unmap().WithZone("")
}

func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// Forwarded reports whether r carries a header that proxies add, so that its Host and
// its peer say nothing about where it came from.
func Forwarded(r *http.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded") {
			return true
		}
		switch name {
		case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip",
			"X-Original-Forwarded-For", "X-Original-Host", "X-Envoy-External-Address",
			"Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fly-Client-Ip",
			"Fastly-Client-Ip", "Sb-Forwarded-For":
			return true
		}
	}
	return false
}
