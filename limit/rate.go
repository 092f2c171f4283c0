package limit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// DefaultBurst is the burst of the buckets that [Bucket] and [Parse] make.
const DefaultBurst = 30

// Rate says how much of something is allowed. It has two forms, chosen by Burst.
//
// With Burst zero it is a fixed window: Events in each Per, counted from the first
// event of the window. With Burst above zero it is a token bucket: it holds up to
// Burst tokens, is full at first, and gains Events tokens each Per.
//
// A Rate that allows nothing ([Rate.Never]) is valid; so the zero Rate refuses
// everything. To not limit at all, don't ask a limiter.
type Rate struct {
	Events int           // events a window, or tokens gained a period
	Per    time.Duration // length of the window or period
	Burst  int           // size of the bucket; 0 for a fixed window
}

// Window is the fixed window of n events in each period per.
func Window(n int, per time.Duration) Rate { return Rate{Events: n, Per: per} }

// Bucket is the token bucket that gains n tokens each period per, with a burst of
// [DefaultBurst].
func Bucket(n int, per time.Duration) Rate {
	return Rate{Events: n, Per: per, Burst: DefaultBurst}
}

// Parse reads a rate from its text. A plain number, "30", is the fixed window of 30
// an hour. A number and a period, "30/1h", is the token bucket with a burst of 30
// that gains one token an hour: the number is the burst, not the refill. The period
// is a duration as of [time.ParseDuration]. The number 0 means never.
func Parse(s string) (Rate, error) {
	number, period, hasPeriod := strings.Cut(strings.TrimSpace(s), "/")
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return Rate{}, fmt.Errorf("limit: rate %q: want a number, or a number and a period as in 30/1h", s)
	}
	r := Window(int(n), time.Hour)
	if hasPeriod {
		per, err := time.ParseDuration(period)
		if err != nil {
			return Rate{}, fmt.Errorf("limit: rate %q: %q is no duration", s, period)
		}
		r = Rate{Per: per, Burst: int(n)}
		if n > 0 {
			r.Events = 1
		}
	}
	if err := r.Validate(); err != nil {
		return Rate{}, fmt.Errorf("limit: rate %q: %w", s, err)
	}
	return r, nil
}

// String gives the text that [Parse] reads, if there is one for this rate, and
// otherwise one of the form "150/5m0s burst 30" or "10/1m0s window".
func (r Rate) String() string {
	switch {
	case r.Never():
		return "0"
	case r.Burst == 0 && r.Per == time.Hour:
		return strconv.Itoa(r.Events)
	case r.Burst == 0:
		return fmt.Sprintf("%d/%s window", r.Events, r.Per)
	case r.Events == 1:
		return fmt.Sprintf("%d/%s", r.Burst, r.Per)
	}
	return fmt.Sprintf("%d/%s burst %d", r.Events, r.Per, r.Burst)
}

// Never reports whether the rate allows no event at all.
func (r Rate) Never() bool { return r.Events == 0 }

// Validate reports what makes the rate unusable: a negative number, a period that
// isn't positive, or numbers so large that a token takes less than a nanosecond or
// the bucket more than a decade to fill.
func (r Rate) Validate() error {
	if r.Events < 0 || r.Burst < 0 {
		return errors.New("a rate's numbers can't be negative")
	}
	if r.Never() && r.Per >= 0 {
		return nil
	}
	if r.Per <= 0 {
		return errors.New("a rate's period must be positive")
	}
	if r.Events > math.MaxInt32 || r.Burst > math.MaxInt32 || r.Per > decade {
		return errors.New("the rate is too large")
	}
	if r.Burst == 0 {
		return nil
	}
	if r.interval() == 0 {
		return errors.New("the rate is too high")
	}
	if r.interval() > decade/time.Duration(r.Burst) {
		return errors.New("the bucket would take more than a decade to fill")
	}
	return nil
}

const decade = 10 * 365 * 24 * time.Hour

// interval is the time that a bucket takes to gain one token.
func (r Rate) interval() time.Duration { return r.Per / time.Duration(r.Events) }
