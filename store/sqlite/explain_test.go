package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
	"github.com/truekeel/auth/store/storetest"
)

// TestNoStatementScansATable asks SQLite how it does each of the statements that the
// conformance suite has made the store use.
func TestNoStatementScansATable(t *testing.T) {
	var mu sync.Mutex
	var stores []*sqlite.Store
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			s := open(t)
			mu.Lock()
			defer mu.Unlock()
			stores = append(stores, s)
			return s
		})
	})
	statements := map[string]bool{}
	for _, s := range stores {
		for _, text := range s.Statements() {
			statements[text] = true
		}
	}
	require.Greater(t, len(statements), 60)
	path := filepath.Join(t.TempDir(), "auth.db")
	openAt(t, path)
	db := host(t, path)
	for text := range statements {
		if !mayScan(text) {
			wantNoScan(t, db, text)
		}
	}
}

// mayScan knows the statements that look at a whole table because that is what is
// asked of them: everything is counted, or a part of a text is looked for, or the table
// has a handful of rows, or it is read in the order of its key until a LIMIT.
func mayScan(text string) bool {
	for _, part := range []string{
		"instr(", "COUNT(*) FROM auth_users", "COUNT(*) FROM auth_audit_log", "auth_signing_keys",
		"auth_event_deliveries WHERE endpoint = ?",
	} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// wholeTable finds a step that walks through a table otherwise than in an index's order
// (which a LIMIT ends).
var wholeTable = regexp.MustCompile(`^SCAN (auth_\w+|item|older|r|s)$`)

func wantNoScan(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	if !regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE)`).MatchString(text) {
		return
	}
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, make([]any, strings.Count(text, "?"))...)
	require.NoError(t, err, text)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var id, parent, unused int
		var step string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &step))
		assert.NotRegexp(t, wholeTable, step, text)
	}
	require.NoError(t, rows.Err())
}
