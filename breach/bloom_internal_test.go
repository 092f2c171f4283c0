package breach

import (
	"crypto/sha1"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func hashOf(s string) [sha1.Size]byte { return sha1.Sum([]byte(s)) }

// A full filter of two generations keeps its promise.
func TestBloomFalsePositives(t *testing.T) {
	for _, p := range []float64{0.3, 0.01, 0.001} {
		b, err := newBloom(BloomConfig{Items: 2000, FalsePositives: p})
		require.NoError(t, err)
		for i := range 4000 {
			b.add(hashOf("leaked " + strconv.Itoa(i)))
		}
		for i := range 4000 {
			require.True(t, b.has(hashOf("leaked "+strconv.Itoa(i))), "what was added is there")
		}
		const asked = 100_000
		wrong := 0
		for i := range asked {
			if b.has(hashOf("another " + strconv.Itoa(i))) {
				wrong++
			}
		}
		rate := float64(wrong) / asked
		t.Logf("promised %v, measured %v", p, rate)
		require.LessOrEqual(t, rate, p*1.2)
		require.GreaterOrEqual(t, rate, p/3, "the filter isn't larger than it needs to be")
	}
}

func TestBloomOfTheDefaultSize(t *testing.T) {
	b, err := newBloom(BloomConfig{})
	require.NoError(t, err)
	require.Less(t, len(b.young)*8*2, 640_000)
	for i := range 50_000 {
		b.add(hashOf("leaked " + strconv.Itoa(i)))
	}
	wrong := 0
	for i := range 200_000 {
		if b.has(hashOf("another " + strconv.Itoa(i))) {
			wrong++
		}
	}
	require.LessOrEqual(t, wrong, 3)
}

func TestBloomForgetsTheOldest(t *testing.T) {
	b, err := newBloom(BloomConfig{Items: 1, FalsePositives: 1e-9})
	require.NoError(t, err)
	for _, s := range []string{"a", "b", "b", "c"} {
		b.add(hashOf(s))
	}
	require.False(t, b.has(hashOf("a")))
	require.True(t, b.has(hashOf("b")))
	require.True(t, b.has(hashOf("c")))
}

func FuzzRange(f *testing.F) {
	suffix := "0018A45C4D1DEF81644B54AB7F969B88D65"
	for _, s := range []string{
		"", "\n", "\r\n", suffix + ":1", suffix + ":1\r\n", suffix + ":0\r\n", suffix + ":99999999999999999999999999\n", suffix, suffix + ":",
		"0018a45c4d1def81644b54ab7f969b88d65:3\n", "<html>", suffix + ":1\n\n" + suffix + ":2", suffix + ":-1", suffix + ":1 \n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		found, err := lists(answer, suffix)
		if err != nil && found {
			t.Fatal("found in what can't be read")
		}
		if other, _ := lists(answer, "F"+suffix[1:]); other && found {
			return // both may be in it
		}
		if again, _ := lists(append(answer[:len(answer):len(answer)], '\n'), suffix); found && !again && answer[len(answer)-1] != '\n' {
			t.Fatal("a line break at the end changes the answer")
		}
	})
}

func TestRange(t *testing.T) {
	const suffix, other = "0018A45C4D1DEF81644B54AB7F969B88D65", "00D4F6E8FA6EECAD2A3AA415EEC418D38EC"
	for name, c := range map[string]struct {
		answer string
		found  bool
		bad    bool
	}{
		"listed":             {answer: other + ":2\r\n" + suffix + ":1\r\n", found: true},
		"without last break": {answer: other + ":2\r\n" + suffix + ":10", found: true},
		"bare line feeds":    {answer: suffix + ":7\n" + other + ":2\n", found: true},
		"small letters":      {answer: "0018a45c4d1def81644b54ab7f969b88d65:3\n", found: true},
		"huge count":         {answer: suffix + ":340282366920938463463374607431768211456\n", found: true},
		"padding":            {answer: suffix + ":0\r\n" + other + ":1"},
		"much padding":       {answer: suffix + ":000\r\n"},
		"not listed":         {answer: other + ":2\r\n"},
		"empty":              {bad: true},
		"blank line":         {answer: "\r\n", bad: true},
		"blank line inside":  {answer: suffix + ":1\r\n\r\n" + other + ":1", bad: true},
		"no count":           {answer: suffix + "\r\n", bad: true},
		"cut at the count":   {answer: suffix + ":1\r\n" + other + ":", bad: true},
		"cut at the suffix":  {answer: suffix + ":1\r\n" + other[:20], bad: true},
		"short suffix":       {answer: suffix[1:] + ":1", bad: true},
		"a whole hash":       {answer: "12345" + suffix + ":1", bad: true},
		"no hexadecimal":     {answer: "G" + suffix[1:] + ":1", bad: true},
		"negative":           {answer: suffix + ":-1", bad: true},
		"hexadecimal count":  {answer: suffix + ":a", bad: true},
		"a page":             {answer: "<html><body>Sign in to the network</body></html>", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := lists([]byte(c.answer), suffix)
			require.Equal(t, c.bad, err != nil)
			require.Equal(t, c.found, found)
		})
	}
}

func BenchmarkBloom(b *testing.B) {
	f, err := newBloom(BloomConfig{})
	require.NoError(b, err)
	for i := range 100_000 {
		f.add(hashOf(strconv.Itoa(i)))
	}
	for name, sum := range map[string][sha1.Size]byte{"hit": hashOf("77"), "miss": hashOf("unseen")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.has(sum)
			}
		})
	}
}
