package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/store"
)

// minSecretBytes is what RFC 7518, 3.2 asks of an HS256 secret.
const minSecretBytes = 32

// KeyringConfig says where the keys come from: from the settings (Secret, Static, or
// both), or, without either, from the store.
type KeyringConfig struct {
	// Secret signs with HS256, unless a key of Static signs; it always verifies HS256
	// tokens that carry no key id, or an unknown one. At least 32 bytes.
	Secret []byte
	// SecretID is the id that tokens signed by Secret carry; "" for none.
	SecretID string
	// AllowShortSecret accepts a Secret under 32 bytes, which can be guessed offline by
	// whoever holds one token.
	AllowShortSecret bool

	// Static are keys from the settings. Of those that can sign there may be one, and
	// without Secret there must be; the others verify only, see [Key.VerifyOnly].
	Static []Key

	// Store and Box keep the keys that are generated when there is neither Secret nor
	// Static: the store holds them sealed by Box. All processes of one installation
	// need the same key in Box.
	Store store.Keys
	Box   *seal.Box

	// RetireUnreadable retires a current key that Box can't open, where otherwise
	// NewKeyring fails. It is the way back when an encryption key was lost; everybody's
	// access token ends. Don't leave it set: processes with different encryption keys
	// would retire each other's.
	RetireUnreadable bool

	// Algorithm is what new keys are generated for: RS256, ES256 (the default) or EdDSA.
	Algorithm string
	// ValidMethods restricts the algorithms that tokens may use. Default: those of the
	// keys.
	ValidMethods []string

	// PublishFor is how long a new key is published before it signs, so that everyone
	// who caches the key set has seen it. Default 15 min, as the set may be cached for
	// 10 min; negative for not at all.
	PublishFor time.Duration
	// Grace is how long a key verifies after another has taken its place: the lifetime
	// of an access token and some leeway for clocks. Default 65 min.
	Grace time.Duration
	// PollEvery is how often the store is asked for keys that other processes changed.
	// Default 2 s; negative for never (then only [Keyring.Reload] asks).
	PollEvery time.Duration

	// Now is the clock; time.Now by default. Logger gets trouble with stored keys;
	// nothing is logged by default.
	Now    func() time.Time
	Logger *slog.Logger

	// Observe is told of each key of the store that this process made or moved to another
	// state. Default: nobody is told.
	Observe func(kid string, state store.KeyState)
}

const (
	defaultPublishFor = 15 * time.Minute
	defaultGrace      = 65 * time.Minute
	defaultPollEvery  = 2 * time.Second
	// missInterval is the least time between two reads of the store that unknown key
	// ids cause: forged tokens must not become a load on the database.
	missInterval = time.Second
	// readTimeout bounds a read of the store that no request waits for.
	readTimeout = 10 * time.Second
)

// Keyring holds the keys in use. It is safe for concurrent use; what signing and verifying
// need of it is read without a lock. Close it when done.
//
// Keys of the store go through four states ([store.KeyState]): next (published, verifies),
// current (signs), previous (verifies), retired (neither). Each process moves them on when
// their time has come and sees what others moved within PollEvery; no token becomes
// invalid on the way.
type Keyring struct {
	cfg    KeyringConfig
	now    func() time.Time
	log    *slog.Logger
	active atomic.Pointer[snapshot]

	mu     sync.Mutex           // one reader or mover of the store at a time
	opened map[string]openedKey // by id: keys of the store, unsealed once

	miss missGate

	failed bool          // the last poll failed, which was logged; for the poll alone
	stop   func()        // ends the poll
	done   chan struct{} // closed when the poll has ended
}

// NewKeyring makes a Keyring. With keys in the store it reads them, or makes the first one;
// of several processes that start at once one makes it. It refuses settings that can't
// work with an error that says what to change; ctx bounds the start only.
func NewKeyring(ctx context.Context, cfg KeyringConfig) (*Keyring, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Secret = slices.Clone(cfg.Secret)
	cfg.Static = slices.Clone(cfg.Static)
	cfg.ValidMethods = slices.Clone(cfg.ValidMethods)
	k := &Keyring{cfg: cfg, now: cfg.Now, log: cfg.Logger, opened: map[string]openedKey{}}
	k.stop, k.done = func() {}, make(chan struct{})
	if k.configured() {
		close(k.done)
		snap, err := configuredSnapshot(&k.cfg)
		if err != nil {
			return nil, err
		}
		k.active.Store(snap)
		return k, nil
	}
	if err := k.Reload(ctx); err != nil {
		return nil, err
	}
	if cfg.PollEvery < 0 {
		close(k.done)
		return k, nil
	}
	pollCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	k.stop = stop
	go k.poll(pollCtx)
	return k, nil
}

// check refuses what can't work and fills in the defaults.
func (c *KeyringConfig) check() error {
	if c.Algorithm == "" {
		c.Algorithm = ES256
	}
	if c.PublishFor == 0 {
		c.PublishFor = defaultPublishFor
	}
	if c.Grace <= 0 {
		c.Grace = defaultGrace
	}
	if c.PollEvery == 0 {
		c.PollEvery = defaultPollEvery
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(string, store.KeyState) {}
	}
	for _, alg := range c.ValidMethods {
		if !isAlgorithm(alg) {
			return fmt.Errorf("tokens: valid method %q is not one of HS256, RS256, ES256, EdDSA", alg)
		}
	}
	if n := len(c.Secret); n > 0 && n < minSecretBytes && !c.AllowShortSecret {
		return fmt.Errorf("tokens: the JWT secret has %d bytes, at least %d are needed; "+
			"make one with: openssl rand -base64 48", n, minSecretBytes)
	}
	if len(c.Secret) > 0 || len(c.Static) > 0 {
		return nil
	}
	if c.Store == nil || c.Box == nil {
		return errors.New("tokens: no keys: give a secret, keys, or a store and a sealing key")
	}
	if c.Algorithm == HS256 || !isAlgorithm(c.Algorithm) {
		return fmt.Errorf("tokens: algorithm %q of generated keys is not one of RS256, ES256, EdDSA", c.Algorithm)
	}
	if len(c.ValidMethods) > 0 && !slices.Contains(c.ValidMethods, c.Algorithm) {
		return fmt.Errorf("tokens: valid methods %v don't include %s, the algorithm of generated keys",
			c.ValidMethods, c.Algorithm)
	}
	return nil
}

func isAlgorithm(alg string) bool {
	return alg == HS256 || alg == RS256 || alg == ES256 || alg == EdDSA
}

// configured reports whether the keys come from the settings.
func (k *Keyring) configured() bool { return len(k.cfg.Secret) > 0 || len(k.cfg.Static) > 0 }

// Close ends the poll and waits for it, and for a read of the store that a token caused.
// Signing and verifying go on with the keys as they were. A second Close is a no-op.
func (k *Keyring) Close() {
	k.stop()
	<-k.done
	k.miss.await()
}

// JWKS gives the public keys that verify as a JWK set (RFC 7517, 5): next, current and
// previous ones, no secrets. The bytes are shared: don't change them.
func (k *Keyring) JWKS() []byte { return k.active.Load().jwks }

// Algorithms gives the algorithms that tokens may use, sorted. The slice is the caller's.
func (k *Keyring) Algorithms() []string { return slices.Clone(k.active.Load().algs) }

// Signer gives the algorithm and id of the key that signs now; the id is "" for a secret
// without one.
func (k *Keyring) Signer() (alg, id string) {
	s := k.active.Load().signer
	return s.alg, s.id
}

// KeyInfo describes a key without its private half.
type KeyInfo struct {
	ID        string
	Algorithm string
	State     store.KeyState
	Public    JSON // JWK; empty for a secret

	// Of keys in the store; zero for keys from the settings.
	CreatedAt   time.Time
	ActivatedAt time.Time // became current
	RetiredAt   time.Time
	// Until is when the present state ends by itself: a next key becomes current, a
	// previous one is retired. Zero for the other states.
	Until time.Time
}

// Keys lists the keys, oldest first, retired ones included. Keys from the settings are
// current if they sign, else previous.
func (k *Keyring) Keys(ctx context.Context) ([]KeyInfo, error) {
	if k.configured() {
		return k.active.Load().describe(), nil
	}
	rows, err := k.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("tokens: list keys: %w", err)
	}
	list := make([]KeyInfo, len(rows))
	for i, row := range rows {
		list[i] = k.info(row, rows)
	}
	return list, nil
}

func (k *Keyring) info(row store.SigningKey, rows []store.SigningKey) KeyInfo {
	info := KeyInfo{
		ID: row.ID, Algorithm: row.Algorithm, State: row.State, Public: JSON(row.Public),
		CreatedAt: row.CreatedAt, ActivatedAt: row.ActivatedAt, RetiredAt: row.RetiredAt,
	}
	switch row.State {
	case store.KeyNext:
		info.Until = row.CreatedAt.Add(max(k.cfg.PublishFor, 0))
	case store.KeyPrevious:
		info.Until = k.verifiesUntil(row, rows)
	}
	return info
}

// Rotate begins a rotation: a new key is made and published, and becomes current after
// PublishFor, in whichever process notices first. If a rotation is under way already, its
// key is returned. [ErrConfigured] if the keys come from the settings.
func (k *Keyring) Rotate(ctx context.Context) (KeyInfo, error) {
	return k.change(ctx, func() (string, error) {
		rows, err := k.settle(ctx)
		if err != nil {
			return "", err
		}
		if next, ok := k.next(rows); ok {
			return next.ID, nil
		}
		key, err := GenerateKey(k.cfg.Algorithm)
		if err != nil {
			return "", err
		}
		return key.id, k.create(ctx, key, store.KeyNext)
	})
}

// Import takes a private key of the caller's as the next one; it is published, verifies at
// once, and becomes current as after [Keyring.Rotate]. A key that is there already is left
// as it is. [ErrKey] for a secret or a key that can't sign, [ErrConfigured] if the keys
// come from the settings.
func (k *Keyring) Import(ctx context.Context, key Key) (KeyInfo, error) {
	return k.change(ctx, func() (string, error) {
		if key.IsSymmetric() || !key.CanSign() {
			return "", fmt.Errorf("%w: only private RS256, ES256 and EdDSA keys can be imported", ErrKey)
		}
		if len(k.cfg.ValidMethods) > 0 && !slices.Contains(k.cfg.ValidMethods, key.alg) {
			return "", fmt.Errorf("%w: %s is not among the valid methods %v", ErrKey, key.alg, k.cfg.ValidMethods)
		}
		err := k.create(ctx, key, store.KeyNext)
		if errors.Is(err, store.ErrConflict) {
			err = nil
		}
		return key.id, err
	})
}

// Promote makes the next key current at once, without waiting for PublishFor; verifiers
// that cache the key set may refuse its first tokens. [ErrUnknownKey] if there is no next
// key, [ErrConfigured] if the keys come from the settings.
func (k *Keyring) Promote(ctx context.Context) (KeyInfo, error) {
	return k.change(ctx, func() (string, error) {
		rows, err := k.settle(ctx)
		if err != nil {
			return "", err
		}
		next, ok := k.next(rows)
		if !ok {
			return "", fmt.Errorf("%w: there is no next key to promote", ErrUnknownKey)
		}
		return next.ID, k.promote(ctx, rows, next)
	})
}

// Retire ends a key at once: tokens signed by it are refused, here immediately and in
// other processes within PollEvery. If it was current, the next key takes its place, or a
// new one. Retiring a retired key does nothing. [ErrUnknownKey] if there is no such key,
// [ErrConfigured] if the keys come from the settings.
func (k *Keyring) Retire(ctx context.Context, id string) (KeyInfo, error) {
	return k.change(ctx, func() (string, error) { return id, k.retire(ctx, id) })
}

// change runs a change of the stored keys, takes up the result and describes the key.
func (k *Keyring) change(ctx context.Context, fn func() (id string, err error)) (KeyInfo, error) {
	if k.configured() {
		return KeyInfo{}, ErrConfigured
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	id, err := fn()
	if err != nil {
		return KeyInfo{}, err
	}
	rows, err := k.reload(ctx)
	if err != nil {
		return KeyInfo{}, err
	}
	for _, row := range rows {
		if row.ID == id {
			return k.info(row, rows), nil
		}
	}
	return KeyInfo{}, fmt.Errorf("%w: %q was deleted meanwhile", ErrUnknownKey, id)
}
