package seal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/seal"
)

func keyOf(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func boxOf(t testing.TB, keys ...byte) *seal.Box {
	t.Helper()
	var old [][]byte
	for _, k := range keys[1:] {
		old = append(old, keyOf(k))
	}
	b, err := seal.New(keyOf(keys[0]), old...)
	require.NoError(t, err)
	return b
}

func TestSealOpen(t *testing.T) {
	b := boxOf(t, 1)
	for _, plain := range [][]byte{nil, {0}, []byte("secret"), bytes.Repeat([]byte("x"), 1<<20)} {
		sealed := b.Seal("mail", plain)
		require.Len(t, sealed, len(plain)+33)
		got, err := b.Open("mail", sealed)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))
	}
}

func TestSealHidesAndDiffers(t *testing.T) {
	b := boxOf(t, 1)
	plain := []byte("the same text twice")
	first, second := b.Seal("p", plain), b.Seal("p", plain)
	require.NotEqual(t, first, second)
	require.NotContains(t, string(first), "same text")
}

func TestOpenRefuses(t *testing.T) {
	b := boxOf(t, 1)
	sealed := b.Seal("mail", []byte("secret"))

	_, err := b.Open("sms", sealed)
	require.ErrorIs(t, err, seal.ErrOpen, "another purpose")
	_, err = boxOf(t, 2).Open("mail", sealed)
	require.ErrorIs(t, err, seal.ErrOpen, "another key")
	for i := range sealed {
		_, err = b.Open("mail", sealed[:i])
		require.ErrorIs(t, err, seal.ErrOpen, "cut at %d", i)
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err = b.Open("mail", changed)
		require.ErrorIs(t, err, seal.ErrOpen, "changed at %d", i)
	}
	_, err = b.Open("mail", append(bytes.Clone(sealed), 0))
	require.ErrorIs(t, err, seal.ErrOpen, "longer")
}

func TestOldKeysOpen(t *testing.T) {
	sealed := boxOf(t, 1).Seal("p", []byte("old"))

	got, err := boxOf(t, 3, 2, 1).Open("p", sealed)
	require.NoError(t, err)
	require.Equal(t, "old", string(got))

	_, err = boxOf(t, 1).Open("p", boxOf(t, 2, 1).Seal("p", nil))
	require.ErrorIs(t, err, seal.ErrOpen, "the current key seals, not an old one")
}

// What was sealed by a released version must stay readable.
func TestFormatIsStable(t *testing.T) {
	const (
		id     = "7add330a"
		sealed = "017add330a8bd7440e3696e9a06e6e701f6638aacade2b727d09aeb47799d7d117d92f9c221b6044f71258"
		mac    = "190b5be420a32ec86897233464e1c59550f56114f6d597ca7b9ed9acf4ee212e"
	)
	b := boxOf(t, 1)
	require.Equal(t, id, b.ID())
	raw, err := hex.DecodeString(sealed)
	require.NoError(t, err)
	plain, err := b.Open("purpose", raw)
	require.NoError(t, err)
	require.Equal(t, "plain text", string(plain))
	require.Equal(t, mac, hex.EncodeToString(b.MAC("purpose", []byte("a"), []byte("b"))))
}

func TestMACKeepsPartsApart(t *testing.T) {
	b := boxOf(t, 1)
	sums := map[string]string{}
	for name, sum := range map[string][]byte{
		"p: ab, c": b.MAC("p", []byte("ab"), []byte("c")),
		"p: a, bc": b.MAC("p", []byte("a"), []byte("bc")),
		"p: abc":   b.MAC("p", []byte("abc")),
		"p: abc, ": b.MAC("p", []byte("abc"), nil),
		"pa: bc":   b.MAC("pa", []byte("bc")),
		"p":        b.MAC("p"),
		"other":    boxOf(t, 2).MAC("p"),
	} {
		require.Len(t, sum, 32)
		require.NotContains(t, sums, string(sum), name)
		sums[string(sum)] = name
	}
	require.Equal(t, b.MAC("p", []byte("x")), boxOf(t, 1, 2).MAC("p", []byte("x")), "only the current key counts")
}

func TestMACsOfAllKeys(t *testing.T) {
	data := []byte("x")
	require.Equal(t,
		[][]byte{boxOf(t, 3).MAC("p", data), boxOf(t, 1).MAC("p", data)},
		boxOf(t, 3, 1).MACs("p", data))
}

func TestNewRefuses(t *testing.T) {
	_, err := seal.New(make([]byte, 31))
	require.ErrorContains(t, err, "openssl rand -base64 32")
	_, err = seal.New(make([]byte, 32))
	require.ErrorContains(t, err, "all zeros")
	_, err = seal.New(keyOf(1), []byte("topsecret"))
	require.ErrorContains(t, err, "old key 1")
	require.NotContains(t, err.Error(), "topsecret")
	_, err = seal.FromSecret(nil)
	require.ErrorContains(t, err, "empty")
}

func TestNewCopiesKeys(t *testing.T) {
	k := keyOf(1)
	b, err := seal.New(k)
	require.NoError(t, err)
	clear(k)
	_, err = boxOf(t, 1).Open("p", b.Seal("p", nil))
	require.NoError(t, err)
}

func TestFromSecret(t *testing.T) {
	a, err := seal.FromSecret([]byte("short but the host's choice"))
	require.NoError(t, err)
	b, err := seal.FromSecret([]byte("short but the host's choice"))
	require.NoError(t, err)
	require.Equal(t, a.ID(), b.ID())
	_, err = b.Open("p", a.Seal("p", nil))
	require.NoError(t, err)

	direct := boxOf(t, 1)
	derived, err := seal.FromSecret(keyOf(1))
	require.NoError(t, err)
	require.NotEqual(t, direct.ID(), derived.ID(), "the secret isn't used as the key itself")
}

func TestJoin(t *testing.T) {
	secret, err := seal.FromSecret([]byte("the JWT secret of before"))
	require.NoError(t, err)
	current := boxOf(t, 1)
	joined := seal.Join(current, secret)
	require.Equal(t, current.ID(), joined.ID())
	got, err := joined.Open("p", secret.Seal("p", []byte("x")))
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	_, err = current.Open("p", secret.Seal("p", nil))
	require.ErrorIs(t, err, seal.ErrOpen, "current is as it was")
}

func FuzzOpen(f *testing.F) {
	b, err := seal.New(keyOf(1), keyOf(2))
	if err != nil {
		f.Fatal(err)
	}
	good := b.Seal("p", []byte("x"))
	f.Add(good)
	f.Add(good[:5])
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add(boxOf(f, 2).Seal("p", nil))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plain, err := b.Open("q", sealed)
		if !errors.Is(err, seal.ErrOpen) || plain != nil {
			t.Fatalf("opened a forgery: %q, %v", plain, err)
		}
		again, err := b.Open("p", b.Seal("p", sealed))
		if err != nil || !bytes.Equal(again, sealed) {
			t.Fatalf("round trip: %q, %v", again, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	box := boxOf(b, 1)
	plain := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		box.Seal("mail", plain)
	}
}

func BenchmarkMAC(b *testing.B) {
	box := boxOf(b, 1)
	code := []byte("123456")
	b.ReportAllocs()
	for b.Loop() {
		box.MAC("code", code)
	}
}

func ExampleBox() {
	// A real key comes from the environment or a file, see FromFile.
	before, err := seal.New([]byte("00000000-an-example-key-00000000"))
	if err != nil {
		panic(err)
	}
	sealed := before.Seal("signing key 42", []byte("private"))

	// The key is changed; the old one still opens.
	after, err := seal.New([]byte("11111111-the-next-key-1111111111"), []byte("00000000-an-example-key-00000000"))
	if err != nil {
		panic(err)
	}
	plain, err := after.Open("signing key 42", sealed)
	fmt.Printf("%s %v\n", plain, err)

	_, err = after.Open("signing key 43", sealed)
	fmt.Println(err)
	// Output:
	// private <nil>
	// seal: can't open: wrong key, wrong purpose or damaged data
}
