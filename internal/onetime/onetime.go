// Package onetime is the one capability for codes and links that can be used once:
// issuing them, counting wrong guesses, taking them.
//
// A mail holds two independent secrets: a code of six to ten digits for people who
// type, and a link token of 28 random bytes. Only a hash of the link and a keyed MAC of
// the code are kept. A code is guessable, so it lives shorter and has a budget: so many
// wrong guesses kill the code, and so many an hour end code entry for the address
// until the hour is over. Both budgets are kept in the store: they survive a restart,
// and asking for a new code does not refill them. The link isn't guessable and stays
// good.
package onetime

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/secret"
	"github.com/truekeel/auth/store"
)

// PKCEPrefix marks a link token whose flow ends with an authorization code.
const PKCEPrefix = "pkce_"

const linkBytes = 28

// Config is what Tokens needs.
type Config struct {
	Store store.Store
	Now   func() time.Time
	// MAC authenticates data under a key of the server; MACs gives the same under
	// every key that is still accepted, the present one first.
	MAC  func(purpose string, data ...[]byte) []byte
	MACs func(purpose string, data ...[]byte) [][]byte

	CodeLength int           // digits, 6 to 10
	LinkLife   time.Duration // how long a link is good
	CodeLife   time.Duration // how long a code is good
	MaxGuesses int           // wrong guesses that kill a code
	MaxPerHour int64         // wrong guesses that end code entry of an address for an hour
}

// Tokens issues and takes one-time tokens. It is safe for concurrent use.
type Tokens struct{ Config }

// New makes Tokens.
func New(c Config) *Tokens { return &Tokens{c} }

// Issued is what goes into the mail. It isn't kept anywhere else in clear.
type Issued struct {
	Code string
	Link string // 56 hex digits, behind PKCEPrefix if it leads back to a PKCE flow
}

// Issue makes a code and a link for a user, in place of those that he had for the
// purpose. flow is the PKCE flow that the link leads back to, or uuid.Nil.
func (t *Tokens) Issue(ctx context.Context, tx store.OneTimeTokens, userID uuid.UUID, p store.Purpose, recipient string, flow uuid.UUID) (Issued, error) {
	out, err := t.draw(flow != uuid.Nil)
	if err != nil {
		return Issued{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Issued{}, err
	}
	now := t.Now()
	return out, tx.PutOneTimeToken(ctx, store.OneTimeToken{
		ID: id, UserID: userID, Purpose: p, Recipient: recipient, FlowStateID: flow,
		LinkHash: hashOf(out.Link), CodeMAC: hex.EncodeToString(t.mac(userID, p, recipient, out.Code)),
		ExpiresAt: now.Add(t.LinkLife), CodeExpiresAt: now.Add(t.CodeLife), CreatedAt: now,
	})
}

func (t *Tokens) draw(pkce bool) (Issued, error) {
	code, err := t.drawCode()
	if err != nil {
		return Issued{}, err
	}
	b := make([]byte, linkBytes)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read ends the process instead
	link := hex.EncodeToString(b)
	if pkce {
		link = PKCEPrefix + link
	}
	return Issued{Code: code, Link: link}, nil
}

func (t *Tokens) drawCode() (string, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.CodeLength)), nil))
	if err != nil {
		return "", err
	}
	code := n.String()
	return strings.Repeat("0", t.CodeLength-len(code)) + code, nil
}

func (t *Tokens) mac(userID uuid.UUID, p store.Purpose, recipient, code string) []byte {
	return t.MAC("onetime code", userID[:], []byte(p), []byte(recipient), []byte(code))
}

// hashOf is what is stored of a link token. The prefix isn't part of the secret.
func hashOf(link string) string {
	return secret.Hash(strings.TrimPrefix(link, PKCEPrefix))
}

var (
	// ErrLink is the one answer to a link that is unknown, used or expired.
	ErrLink = fault.New(fault.OTPExpired, "Email link is invalid or has expired")
	// ErrCode is the one answer to a code that is unknown, wrong, used or expired.
	ErrCode = fault.New(fault.OTPExpired, "Token has expired or is invalid")
)

// ByLink finds the token of a link, without taking it. ErrLink on a miss, for another
// purpose than those named, and when it has expired.
func (t *Tokens) ByLink(ctx context.Context, tx store.OneTimeTokens, link string, purposes ...store.Purpose) (store.OneTimeToken, error) {
	if !linkShaped(link) {
		return store.OneTimeToken{}, ErrLink
	}
	row, err := tx.OneTimeTokenByLink(ctx, hashOf(link))
	if errors.Is(err, store.ErrNotFound) {
		return row, ErrLink
	}
	if err != nil {
		return row, err
	}
	pkce := strings.HasPrefix(link, PKCEPrefix)
	for _, p := range purposes {
		if row.Purpose == p && pkce == (row.FlowStateID != uuid.Nil) && t.Now().Before(row.ExpiresAt) {
			return row, nil
		}
	}
	return store.OneTimeToken{}, ErrLink
}

// linkShaped reports whether s can be a link token at all.
func linkShaped(s string) bool {
	s = strings.TrimPrefix(s, PKCEPrefix)
	if len(s) != 2*linkBytes {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Candidate is a user and a purpose that a code may belong to.
type Candidate struct {
	UserID  uuid.UUID // uuid.Nil for an address without an account
	Purpose store.Purpose
}

// ByCode finds the token that a code belongs to among candidates, without taking it,
// and counts the guess. The counts are committed whatever the answer is; an address
// without an account costs the same. ErrCode on every kind of miss.
func (t *Tokens) ByCode(ctx context.Context, recipient, code string, candidates ...Candidate) (store.OneTimeToken, error) {
	var found *store.OneTimeToken
	err := t.Store.Tx(ctx, func(tx store.Store) error {
		found = nil
		spent, err := t.countAddress(ctx, tx, recipient)
		if err != nil {
			return err
		}
		for _, c := range candidates {
			row, open, right, err := t.attempt(ctx, tx, c, recipient, code)
			if err != nil {
				return err
			}
			if open && right && !spent && found == nil {
				found = &row
			}
		}
		if found == nil {
			return nil
		}
		return tx.DropCounter(ctx, t.counterOf(recipient))
	})
	if err != nil {
		return store.OneTimeToken{}, err
	}
	if found == nil {
		return store.OneTimeToken{}, ErrCode
	}
	return *found, nil
}

// countAddress counts a guess against the hourly budget of an address.
func (t *Tokens) countAddress(ctx context.Context, tx store.Counters, recipient string) (spent bool, err error) {
	now, counter := t.Now(), t.counterOf(recipient)
	n, until, err := tx.Count(ctx, counter, now, now.Add(time.Hour))
	if err != nil || until.Sub(now) <= 2*time.Hour {
		return n > t.MaxPerHour, err
	}
	// The clock was set back since: the hour would not end.
	if err := tx.DropCounter(ctx, counter); err != nil {
		return true, err
	}
	n, _, err = tx.Count(ctx, counter, now, now.Add(time.Hour))
	return n > t.MaxPerHour, err
}

// counterOf names the counter of an address without showing the address.
func (t *Tokens) counterOf(recipient string) string {
	return "guess:" + hex.EncodeToString(t.MAC("onetime guesses", []byte(recipient))[:16])
}

// errNotKept undoes what was counted.
var errNotKept = errors.New("onetime: a right guess isn't kept in the count")

// count counts a guess, if there are guesses left. A right one is taken back: what the
// code is good for may still be refused, and the code stays as good as it was.
func (t *Tokens) count(ctx context.Context, tx store.Store, id uuid.UUID, right bool) (counted bool, err error) {
	if !right {
		return tx.CountAttempt(ctx, id, t.MaxGuesses)
	}
	err = tx.Tx(ctx, func(part store.Store) error {
		var err error
		if counted, err = part.CountAttempt(ctx, id, t.MaxGuesses); err != nil {
			return err
		}
		return errNotKept
	})
	if errors.Is(err, errNotKept) {
		err = nil
	}
	return counted, err
}

// attempt compares a code with the token of one candidate and counts the guess by a
// conditional write, so that racing guesses can't exceed the budget. open says that there
// is a token whose code is still good for something.
func (t *Tokens) attempt(ctx context.Context, tx store.Store, c Candidate, recipient, code string) (row store.OneTimeToken, open, right bool, err error) {
	row, err = tx.OneTimeTokenOf(ctx, c.UserID, c.Purpose)
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return row, false, false, err
	}
	right = t.matches(row, c, recipient, code)
	counted, err := t.count(ctx, tx, row.ID, right)
	return row, !missing && counted && t.Now().Before(row.CodeExpiresAt), right, err
}

func (t *Tokens) matches(row store.OneTimeToken, c Candidate, recipient, code string) bool {
	want, _ := hex.DecodeString(row.CodeMAC)
	right := false
	for _, mac := range t.MACs("onetime code", c.UserID[:], []byte(c.Purpose), []byte(recipient), []byte(code)) {
		if hmac.Equal(mac, want) {
			right = true
		}
	}
	return right
}

// Take takes a token that was found before, within the transaction of what it is good
// for: of racing callers one wins, the others get ErrCode or ErrLink as miss.
func (t *Tokens) Take(ctx context.Context, tx store.OneTimeTokens, row store.OneTimeToken, miss error) error {
	won, err := tx.TakeOneTimeToken(ctx, row.ID)
	if err != nil {
		return err
	}
	if !won {
		return miss
	}
	return nil
}
