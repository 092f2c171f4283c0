package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// identifier is the name of a schema or function.
var identifier = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]{0,62}\z`)

var errNoFunctions = errors.New("sqlstore: this database runs no functions of its host")

// HasFunctions reports whether the database can run functions that its host wrote.
func (s *Store) HasFunctions() bool { return s.db.dialect.Function != nil }

// CallFunction runs a function of the database; see store.Functions.
func (s *Store) CallFunction(ctx context.Context, schema, name string, in []byte) ([]byte, error) {
	switch {
	case !s.HasFunctions():
		return nil, errNoFunctions
	case s.scope != nil:
		return nil, errors.New("sqlstore: a function can't be called from within a transaction")
	case !identifier.MatchString(schema) || !identifier.MatchString(name):
		return nil, fmt.Errorf("sqlstore: %q.%q is no name of a function", schema, name)
	}
	out, err := s.db.dialect.Function(ctx, s.db.pool, schema, name, in)
	return out, s.db.fail("function "+schema+"."+name, err)
}
