package tenants_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// instancesVar says how many instances BenchmarkFirstRequest makes.
const instancesVar = "TRUEKEEL_BENCH_INSTANCES"

// BenchmarkFirstRequest measures what many instances cost, of which 100 are open at
// once: a request to one that isn't open, and one to one that is; the memory of the 100.
func BenchmarkFirstRequest(b *testing.B) {
	all := 300
	if text := os.Getenv(instancesVar); text != "" {
		var err error
		all, err = strconv.Atoi(text)
		require.NoError(b, err, instancesVar)
	}
	const open100 = 100
	h := open(b, "")
	start := time.Now()
	ids := make([]uuid.UUID, all)
	for n := range ids {
		ids[n] = h.add(object{"site_url": fmt.Sprintf("https://site%d.example", n), "mailer": object{"autoconfirm": true}})
	}
	making := time.Since(start) / time.Duration(all)

	before := resident()
	for n := range open100 {
		h.to(ids[n], "GET", "/settings", nil).want(200, nil)
	}
	runtime.GC()
	memory := resident() - before

	b.Run("opened", func(b *testing.B) {
		var took []time.Duration
		next := open100
		for b.Loop() {
			id := ids[next%all]
			next++
			began := time.Now()
			h.to(id, "GET", "/settings", nil).want(200, nil)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
		b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
		b.ReportMetric(ms(making), "make-ms")
		b.ReportMetric(float64(memory)/1024, "MB/100open")
		b.ReportMetric(float64(h.Open()), "open")
		require.LessOrEqual(b, h.Open(), open100)
	})
	b.Run("warm", func(b *testing.B) {
		id := ids[rand.IntN(all)]
		sign := h.sign(id)
		for b.Loop() {
			h.send("GET", "/settings", nil, "x-nf-sign", sign).want(200, nil)
		}
	})
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// resident is the resident memory of this process in KiB; 0 where it isn't known.
func resident() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return n
		}
	}
	return 0
}
