package gotrue

import (
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/place"
)

// paging is a page of a list, as its query asks for it.
type paging struct {
	number, size uint64
	url          *url.URL // of the request, relative to the mount
}

// maxPage bounds what one page may hold, and maxOffset what may be left out before it.
const (
	maxPage   = 1000
	maxOffset = 1 << 40
)

// pagingOf reads page and per_page; empty ones have their defaults, 1 and 50.
func pagingOf(r *http.Request) (paging, error) {
	q := r.URL.Query()
	p := paging{number: 1, size: 50, url: r.URL}
	for name, field := range map[string]*uint64{"page": &p.number, "per_page": &p.size} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return p, fault.New(fault.ValidationFailed, "Bad Pagination Parameters: %v", err)
		}
		*field = n
	}
	switch {
	case p.number == 0:
		return p, fault.New(fault.ValidationFailed, "Bad Pagination Parameters: page must be greater than 0")
	case p.size == 0 || p.size > maxPage:
		return p, fault.New(fault.ValidationFailed, "Bad Pagination Parameters: per_page must be between 1 and %d", maxPage)
	case p.number-1 > maxOffset/p.size:
		return p, fault.New(fault.ValidationFailed, "Bad Pagination Parameters: page is too large")
	}
	return p, nil
}

func (p paging) offset() int { return int((p.number - 1) * p.size) } // #nosec G115 -- bounded by maxOffset
func (p paging) limit() int  { return int(p.size) }                  // #nosec G115 -- bounded by maxPage

// mark writes the headers of a page (RFC 8288): how many there are, the next and the
// last page.
func (p paging) mark(w http.ResponseWriter, r *http.Request, total int64) {
	last := (uint64(max(total, 0)) + p.size - 1) / p.size
	last = max(last, 1)
	var links []string
	if p.number < last {
		links = append(links, p.link(r, p.number+1, "next"))
	}
	links = append(links, p.link(r, last, "last"))
	w.Header().Set("Link", strings.Join(links, ", "))
	w.Header().Set("X-Total-Count", strconv.FormatInt(total, 10))
}

// link is one link of a page. page is its first key: clients read what stands behind
// the first equals sign.
func (p paging) link(r *http.Request, number uint64, rel string) string {
	q := p.url.Query()
	q.Del("page")
	keys := make([]string, 0, len(q))
	for k := range q {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	text := "page=" + strconv.FormatUint(number, 10)
	for _, k := range keys {
		for _, v := range q[k] {
			text += "&" + url.QueryEscape(k) + "=" + url.QueryEscape(v)
		}
	}
	path := p.url.Path
	if base, err := url.Parse(place.From(r.Context()).External); err == nil {
		path = base.Path + path
	}
	return fmt.Sprintf(`<%s?%s>; rel=%q`, path, text, rel)
}

// ascending reads sort: created_at, behind it the direction. Newest first is the
// default.
func ascending(r *http.Request) (bool, error) {
	up := false
	for n, s := range r.URL.Query()["sort"] {
		field, direction, _ := strings.Cut(s, " ")
		if field != "created_at" {
			return false, fault.New(fault.ValidationFailed, "Bad Sort Parameters: bad field for sort '%s'", field)
		}
		this := strings.EqualFold(direction, "asc")
		if !this && direction != "" && !strings.EqualFold(direction, "desc") {
			return false, fault.New(fault.ValidationFailed, "Bad Sort Parameters: bad direction for sort '%s', only 'asc' and 'desc' allowed", direction)
		}
		if n == 0 {
			up = this
		}
	}
	return up, nil
}
