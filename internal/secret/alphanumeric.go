package secret

import "crypto/rand"

const alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Alphanumeric gives n random characters of [A-Za-z0-9], each as likely as the others:
// a little under six bits a character.
func Alphanumeric(n int) string {
	const fair = 256 - 256%len(alphanumerics) // bytes from here on would favour the first letters
	out := make([]byte, 0, n)
	buf := make([]byte, n+n/4+1)
	for {
		_, _ = rand.Read(buf) // never fails: crypto/rand.Read ends the process instead
		for _, b := range buf {
			if int(b) >= fair {
				continue
			}
			if out = append(out, alphanumerics[int(b)%len(alphanumerics)]); len(out) == n {
				return string(out)
			}
		}
	}
}
