package limit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/limit"
)

func TestParse(t *testing.T) {
	good := map[string]limit.Rate{
		"30":      {Events: 30, Per: time.Hour},
		" 30 ":    {Events: 30, Per: time.Hour},
		"0":       {Per: time.Hour},
		"30/1h":   {Events: 1, Per: time.Hour, Burst: 30},
		"1/1s":    {Events: 1, Per: time.Second, Burst: 1},
		"5/1m30s": {Events: 1, Per: 90 * time.Second, Burst: 5},
		"0/1h":    {Per: time.Hour},
	}
	for text, want := range good {
		got, err := limit.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "x", "-1", "1.5", "+3", "30/", "/1h", "30/h", "30/1", "30/0s", "30/-1h", "30/1h/2h",
		"99999999999999999999", "2147483648", "2147483647/876000h", "30 / 1h", "１"} {
		_, err := limit.Parse(text)
		require.Error(t, err, text)
		require.ErrorContains(t, err, "limit: rate")
	}
}

func TestRateString(t *testing.T) {
	for _, text := range []string{"0", "30", "30/1h0m0s"} {
		r, err := limit.Parse(text)
		require.NoError(t, err)
		require.Equal(t, text, r.String())
	}
	require.Equal(t, "150/5m0s burst 30", limit.Bucket(150, 5*time.Minute).String())
	require.Equal(t, "10/1m0s window", limit.Window(10, time.Minute).String())
}

func TestRateValidate(t *testing.T) {
	for name, r := range map[string]limit.Rate{
		"zero": {}, "never": {Per: time.Hour}, "window": {Events: 1, Per: 1}, "bucket": limit.Bucket(30, time.Minute),
		"a token a nanosecond": {Events: 1000, Per: time.Microsecond, Burst: 1},
	} {
		require.NoError(t, r.Validate(), name)
	}
	for name, r := range map[string]limit.Rate{
		"events": {Events: -1, Per: 1}, "burst": {Events: 1, Per: 1, Burst: -1}, "no period": {Events: 1},
		"period": {Events: 1, Per: -1}, "never, period": {Per: -1}, "too fast": {Events: 1001, Per: time.Microsecond, Burst: 1},
		"too large": {Events: 1 << 31, Per: time.Hour}, "too slow": {Events: 1, Per: 5 * 365 * 24 * time.Hour, Burst: 3},
		"too long": {Events: 1, Per: 1<<63 - 1},
	} {
		require.Error(t, r.Validate(), name)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"30", "30/1h", "0", "1/1ns", "2147483647/1ns", "9/9000h", "/", "30/1h/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := limit.Parse(s)
		if err != nil {
			return
		}
		require.NoError(t, r.Validate())
		again, err := limit.Parse(r.String())
		require.NoError(t, err)
		if r.Never() {
			require.True(t, again.Never())
			return
		}
		require.Equal(t, r, again)
		takeSome(t, r)
	})
}
