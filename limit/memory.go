package limit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"time"
)

// DefaultMaxKeys is how many keys a [Memory] keeps unless told otherwise: about 5 MB
// when all of them are in use.
const DefaultMaxKeys = 1 << 16

// MemoryConfig sets up a [Memory].
type MemoryConfig struct {
	// Now is the clock. Required.
	Now func() time.Time
	// MaxKeys bounds how many keys are kept; default [DefaultMaxKeys].
	MaxKeys int
}

// Memory is a [Limiter] that keeps its counts in this process. It is safe for
// concurrent use, starts no goroutine and needs no Close; its memory is fixed by
// MaxKeys, whatever the number and length of the keys.
//
// # Under a flood of keys
//
// When it is full, a new key takes the place of another. Of a few kept keys chosen at
// random, that is the one whose events are the fewest (tokens that have come back and
// windows that are over don't count); among equals the one that has more left, then
// the one that has all of it again the soonest. So a flood of new keys, each with an
// event or two, pushes out its like, and a key that has used up its budget stays
// limited. To have a key forgotten after its 30 events somebody must get 30 events
// allowed for each of about MaxKeys other keys, and own as many addresses.
type Memory struct {
	now    func() time.Time
	seed   maphash.Seed
	shards []shard
}

const (
	shardCount    = 16
	minShardKeys  = 64 // below this a shard isn't worth it
	evictionTries = 12 // how many kept keys compete for being forgotten
)

// NewMemory makes a Memory.
func NewMemory(c MemoryConfig) (*Memory, error) {
	if c.Now == nil {
		return nil, errors.New("limit: MemoryConfig.Now is missing")
	}
	if c.MaxKeys < 0 {
		return nil, fmt.Errorf("limit: MemoryConfig.MaxKeys is %d; use 0 for the default", c.MaxKeys)
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	n := shardCount
	if c.MaxKeys < n*minShardKeys {
		n = 1
	}
	m := &Memory{
		now:    c.Now,
		seed:   maphash.MakeSeed(),
		shards: make([]shard, n),
	}
	for i := range m.shards {
		m.shards[i].max = c.MaxKeys / n
		m.shards[i].index = make(map[uint64]int32)
	}
	return m, nil
}

// Take implements [Limiter]. Its only error is that of a rate that isn't valid; it
// never blocks on anything but its own short lock.
func (m *Memory) Take(_ context.Context, key string, r Rate) (Decision, error) {
	if err := r.Validate(); err != nil {
		return Decision{}, fmt.Errorf("limit: %w", err)
	}
	if r.Never() {
		return Decision{}, nil
	}
	d := m.digest(key, r)
	s := &m.shards[d%uint64(len(m.shards))]
	now := m.now().UnixNano()

	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entry(d, now).take(r, now), nil
}

// Len says how many keys are kept now, at most MaxKeys.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// digest stands for a key and its rate: 64 bits under a secret seed, so that long keys
// cost no memory and nobody can look for two that meet. That two do by chance, of all
// that are kept by default, happens to one new key in 2^48.
func (m *Memory) digest(key string, r Rate) uint64 {
	var rate [3 * 8]byte
	binary.LittleEndian.PutUint64(rate[0:], uint64(r.Events))
	binary.LittleEndian.PutUint64(rate[8:], uint64(r.Per))
	binary.LittleEndian.PutUint64(rate[16:], uint64(r.Burst))
	var h maphash.Hash
	h.SetSeed(m.seed)
	_, _ = h.Write(rate[:])
	_, _ = h.WriteString(key)
	return h.Sum64()
}

// shard is a part of the keys under a lock of its own. The entries lie in one slice,
// so that one can be chosen at random without a walk.
type shard struct {
	mu      sync.Mutex
	max     int
	index   map[uint64]int32
	entries []entry
	_       [64]byte // keeps the locks of two shards off one cache line
}

// entry finds the entry of d, or makes one, at the cost of another's if need be.
func (s *shard) entry(d uint64, now int64) *entry {
	if i, ok := s.index[d]; ok {
		return &s.entries[i]
	}
	if len(s.entries) < s.max {
		s.entries = append(s.entries, entry{key: d})
		s.index[d] = int32(len(s.entries) - 1)
		return &s.entries[len(s.entries)-1]
	}
	i := s.leastUsed(now)
	delete(s.index, s.entries[i].key)
	s.entries[i] = entry{key: d}
	s.index[d] = i
	return &s.entries[i]
}

// leastUsed chooses whom to forget.
func (s *shard) leastUsed(now int64) int32 {
	best, least := int32(-1), int64(0)
	for range evictionTries {
		i := rand.Int32N(int32(len(s.entries)))
		owed := s.entries[i].owed(now)
		if owed == 0 {
			return i
		}
		if best < 0 || owed < least || owed == least && s.entries[i].cheaper(&s.entries[best]) {
			best, least = i, owed
		}
	}
	return best
}

// entry is what is kept of one key.
type entry struct {
	key uint64
	// end is when the key will have its whole budget again: the end of the window,
	// or the time at which the bucket will be full.
	end int64
	// span is the time that an empty bucket takes to fill; 0 for a window.
	span int64
	// limit is the whole budget, in events or tokens; count the window's events.
	limit, count int32
}

// owed is how many events of the budget are used up at now.
func (e *entry) owed(now int64) int64 {
	if e.end <= now {
		return 0
	}
	if e.span > 0 {
		interval := e.span / int64(e.limit)
		return (e.end - now + interval - 1) / interval
	}
	return int64(e.count)
}

// cheaper reports whether e rather than other is forgotten, both owing the same.
func (e *entry) cheaper(other *entry) bool {
	if e.limit != other.limit {
		return e.limit > other.limit
	}
	return e.end < other.end
}

func (e *entry) take(r Rate, now int64) Decision {
	if r.Burst > 0 {
		return e.takeToken(r, now)
	}
	return e.takeInWindow(r, now)
}

// takeToken is the token bucket, kept as the one time at which it will be full (the
// generic cell rate algorithm).
func (e *entry) takeToken(r Rate, now int64) Decision {
	interval := int64(r.interval())
	e.span, e.limit = interval*int64(r.Burst), int32(r.Burst)
	// The upper bound is for a clock that was set back: nobody waits longer than an
	// empty bucket takes.
	e.end = min(max(e.end, now), now+e.span)
	end := e.end + interval
	if wait := end - now - e.span; wait > 0 {
		return Decision{RetryAfter: time.Duration(wait)}
	}
	e.end = end
	return Decision{Allowed: true}
}

func (e *entry) takeInWindow(r Rate, now int64) Decision {
	e.limit = int32(r.Events)
	if e.end <= now {
		e.count, e.end = 0, now+int64(r.Per)
	}
	e.end = min(e.end, now+int64(r.Per)) // the clock was set back
	if e.count >= e.limit {
		return Decision{RetryAfter: time.Duration(e.end - now)}
	}
	e.count++
	return Decision{Allowed: true}
}
