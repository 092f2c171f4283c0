package tokens

import (
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache keeps the claims of verified tokens, the most recently used ones, bounded in
// number and in bytes. All of it belongs to one epoch of the keys.
type cache struct {
	mu       sync.Mutex
	lru      *simplelru.LRU[string, *Claims] // nil: nothing is kept
	epoch    uint64
	bytes    int
	maxBytes int
}

func newCache(size, maxBytes int) *cache {
	c := &cache{maxBytes: maxBytes}
	if size > 0 {
		// The error is about sizes below one.
		c.lru, _ = simplelru.NewLRU(size, func(token string, _ *Claims) { c.bytes -= cost(token) })
	}
	return c
}

// cost estimates the memory of an entry: the token, its payload (three quarters of it),
// perhaps as much again for Extra, and the fixed parts.
func cost(token string) int { return len(token)*5/2 + 1024 }

// get gives the claims of a token that was verified in this epoch, nil if it wasn't. The
// first call in a new epoch empties the cache.
func (c *cache) get(token string, epoch uint64) *Claims {
	if c.lru == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.enter(epoch) {
		return nil
	}
	claims, _ := c.lru.Get(token)
	return claims
}

// add keeps what was verified by the keys of an epoch, unless that is over.
func (c *cache) add(token string, claims *Claims, epoch uint64) {
	if c.lru == nil || cost(token) > c.maxBytes {
		return
	}
	// The token may be a part of a larger text, which would be kept with it.
	token = strings.Clone(token)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.enter(epoch) || c.lru.Contains(token) {
		return
	}
	c.lru.Add(token, claims)
	c.bytes += cost(token)
	for c.bytes > c.maxBytes {
		c.lru.RemoveOldest()
	}
}

// enter makes epoch the cache's if it is a later one, and reports whether it is the
// cache's now.
func (c *cache) enter(epoch uint64) bool {
	if epoch > c.epoch {
		c.lru.Purge()
		c.epoch = epoch
	}
	return epoch == c.epoch
}
