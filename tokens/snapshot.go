package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/truekeel/auth/store"
)

// snapshot is the keys at one instant. It is immutable once published.
type snapshot struct {
	keys   map[string]*Key // that verify, by id
	list   []Key           // the same in order, and the secret
	secret *Key            // verifies HS256 tokens without a known id; nil if there is none
	signer *Key
	header string // the encoded header of what signer signs
	only   []string
	algs   []string
	jwks   []byte
	// epoch grows whenever a key stops verifying: what was verified before an epoch
	// says nothing in it.
	epoch uint64
}

// newSnapshot checks that ids are unique and that the signer's algorithm is accepted. only
// restricts the algorithms; empty for those of the keys.
func newSnapshot(keys []Key, signer, secret *Key, only []string) (*snapshot, error) {
	s := &snapshot{keys: make(map[string]*Key, len(keys)), list: keys, secret: secret, signer: signer, only: only}
	if len(only) > 0 && !slices.Contains(only, signer.alg) {
		return nil, fmt.Errorf("tokens: valid methods %v don't include %s, which signs", only, signer.alg)
	}
	for i, k := range keys {
		if k.id != "" {
			if s.keys[k.id] != nil {
				return nil, fmt.Errorf("%w: two keys have the id %q", ErrKey, k.id)
			}
			s.keys[k.id] = &keys[i]
		}
		if s.accepts(k.alg) && !slices.Contains(s.algs, k.alg) {
			s.algs = append(s.algs, k.alg)
		}
	}
	slices.Sort(s.algs)
	header, err := encodeHeader(signer)
	if err != nil {
		return nil, err
	}
	s.header, s.jwks = header, keySet(keys)
	return s, nil
}

// configuredSnapshot makes the one snapshot of keys from the settings.
func configuredSnapshot(cfg *KeyringConfig) (*snapshot, error) {
	keys := slices.Clone(cfg.Static)
	if len(cfg.Secret) > 0 {
		k, err := NewSecretKey(cfg.SecretID, cfg.Secret)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	var signer, secret *Key
	for i := range keys {
		k := &keys[i]
		if k.method == nil {
			return nil, fmt.Errorf("%w: key %d is empty", ErrKey, i+1)
		}
		fromSecret := i >= len(cfg.Static)
		if k.IsSymmetric() && (k.id == "" || fromSecret) {
			if secret != nil {
				return nil, fmt.Errorf("%w: two secrets without an id", ErrKey)
			}
			secret = k
		}
		if !k.CanSign() || (fromSecret && signer != nil) {
			continue
		}
		if signer != nil {
			return nil, fmt.Errorf("%w: keys %q and %q both sign; leave key_ops \"sign\" to one of them",
				ErrKey, signer.id, k.id)
		}
		signer = k
	}
	if signer == nil {
		return nil, errors.New("tokens: no key signs: give one private key whose key_ops name \"sign\", or a secret")
	}
	return newSnapshot(keys, signer, secret, cfg.ValidMethods)
}

// keySet gives the JWK set of the public keys.
func keySet(keys []Key) []byte {
	var public [][]byte
	for _, k := range keys {
		if j := k.PublicJWK(); j != nil {
			public = append(public, j)
		}
	}
	return slices.Concat([]byte(`{"keys":[`), bytes.Join(public, []byte(",")), []byte(`]}`))
}

// follow gives the snapshot its epoch, as the successor of prev.
func (s *snapshot) follow(prev *snapshot) {
	if prev == nil {
		return
	}
	s.epoch = prev.epoch
	for id := range prev.keys {
		if s.keys[id] == nil {
			s.epoch++
			return
		}
	}
}

func (s *snapshot) accepts(alg string) bool {
	return len(s.only) == 0 || slices.Contains(s.only, alg)
}

// find gives the key that a token has to be verified with. The token's alg must be that of
// the key (RFC 8725, 3.1): it selects nothing, but for the secret, which is for HS256 only.
func (s *snapshot) find(alg, id string) (*Key, error) {
	if !isAlgorithm(alg) || !s.accepts(alg) {
		return nil, ErrAlgorithm
	}
	if k := s.keys[id]; k != nil {
		if k.alg != alg {
			return nil, ErrAlgorithm
		}
		return k, nil
	}
	if s.secret != nil && alg == s.secret.alg {
		return s.secret, nil
	}
	if id == "" {
		return nil, fmt.Errorf("%w: the token names none", ErrUnknownKey)
	}
	return nil, ErrUnknownKey
}

// describe lists keys from the settings.
func (s *snapshot) describe() []KeyInfo {
	list := make([]KeyInfo, len(s.list))
	for i := range s.list {
		k := &s.list[i]
		list[i] = KeyInfo{ID: k.id, Algorithm: k.alg, State: store.KeyPrevious, Public: JSON(k.PublicJWK())}
		if k == s.signer {
			list[i].State = store.KeyCurrent
		}
	}
	return list
}
