package breach

import (
	"crypto/sha1" // #nosec G505 -- the service's index
	"encoding/binary"
	"fmt"
	"math"
	"sync"
)

// BloomConfig bounds what a [HIBP] keeps of the leaked passwords that it came across, in
// a Bloom filter: a password that was found to be leaked is refused the next time without
// a request, also while the service is down. That a password hasn't leaked is never kept.
//
// The filter holds whole SHA-1 hashes of passwords that somebody chose and that the
// service listed, as bits, from which none can be read off. It is in memory alone.
type BloomConfig struct {
	// Items is how many passwords are kept at least; default 100,000. Twice as many are
	// at most, then the older half is forgotten.
	Items int
	// FalsePositives is how likely, at most, a password that isn't kept is taken for one
	// that is, and wrongly refused: above 0, below 1; default 0.0000099. With it and the
	// default of Items the filter takes up to 630 kB.
	FalsePositives float64
}

const (
	defaultItems          = 100_000
	defaultFalsePositives = 0.0000099
	maxItems              = 100_000_000
)

// bloom is a Bloom filter of two generations: the younger takes what is new until it is
// full and becomes the older.
type bloom struct {
	items  int
	bits   uint64 // of one generation
	probes uint64

	mu           sync.RWMutex
	count        int // in the younger
	young, older []uint64
}

func newBloom(c BloomConfig) (*bloom, error) {
	if c.Items == 0 {
		c.Items = defaultItems
	}
	if c.FalsePositives == 0 {
		c.FalsePositives = defaultFalsePositives
	}
	if c.Items < 1 || c.Items > maxItems {
		return nil, fmt.Errorf("breach: Bloom.Items of %d is not between 1 and %d", c.Items, maxItems)
	}
	if !(c.FalsePositives > 0 && c.FalsePositives < 1) {
		return nil, fmt.Errorf("breach: Bloom.FalsePositives of %v is not between 0 and 1; 0.00001 is good", c.FalsePositives)
	}
	// Each generation has half of the likelihood. m = -n ln p / (ln 2)^2, k = m/n ln 2.
	bits := math.Ceil(float64(c.Items) * -math.Log(c.FalsePositives/2) / (math.Ln2 * math.Ln2))
	probes := math.Max(1, math.Round(bits/float64(c.Items)*math.Ln2))
	b := &bloom{items: c.Items, bits: uint64(bits), probes: uint64(probes)}
	b.young = b.empty()
	return b, nil
}

func (b *bloom) empty() []uint64 { return make([]uint64, (b.bits+63)/64) }

// has reports whether a hash was added, or looks as if.
func (b *bloom) has(sum [sha1.Size]byte) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.in(b.young, sum) || b.in(b.older, sum)
}

func (b *bloom) in(set []uint64, sum [sha1.Size]byte) bool {
	for n := uint64(0); n < b.probes; n++ {
		at := b.probe(sum, n)
		if set == nil || set[at/64]&(1<<(at%64)) == 0 {
			return false
		}
	}
	return true
}

func (b *bloom) add(sum [sha1.Size]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.in(b.young, sum) {
		return
	}
	if b.count == b.items {
		b.young, b.older, b.count = b.empty(), b.young, 0
	}
	for n := uint64(0); n < b.probes; n++ {
		at := b.probe(sum, n)
		b.young[at/64] |= 1 << (at % 64)
	}
	b.count++
}

// probe is the n-th bit of a hash, whose bits are as good as random: two numbers of it
// make all of them (Kirsch and Mitzenmacher).
func (b *bloom) probe(sum [sha1.Size]byte, n uint64) uint64 {
	first, step := binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])|1
	return (first + n*step) % b.bits
}
