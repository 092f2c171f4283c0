package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/pressly/goose/v3"
)

// Bind is how a database spells the place of an argument.
type Bind int

// The spellings.
const (
	Question Bind = iota // ?, ?, ?
	Dollar               // $1, $2, $3
)

// Dialect is what differs between databases. The zero value of a field means what the
// SQL standard or database/sql does by itself, so that a Dialect says only where its
// database departs from that. Functions are called concurrently.
type Dialect struct {
	// Name is the database in errors and logs: "sqlite".
	Name string
	// Bind is how arguments are spelled.
	Bind Bind
	// Table makes the full name of a table of a namespace; nil means [Prefixed].
	Table func(namespace, table string) string

	// Time makes the value that a time is bound as; nil binds the time.Time. The time
	// is UTC, whole microseconds, and not zero (zero is NULL).
	Time func(time.Time) any
	// TimeColumn makes the expression that selects a time column, for a driver whose
	// reading of times depends on how the host configured it; nil selects the column.
	// What arrives may be a time.Time or text in UTC, see [ParseTime].
	TimeColumn func(column string) string
	// ID makes the value that a UUID is bound as; nil binds its 36 characters.
	ID func(uuid.UUID) any
	// Contains makes the condition that expr contains part, case by case, and its one
	// argument; nil means LIKE, which SQLite needs to be spared, because there it
	// ignores case.
	Contains func(expr, part string) (condition string, arg any)

	// IsDuplicate reports that a unique key is taken.
	IsDuplicate func(error) bool
	// IsMissingParent reports that a foreign key points nowhere.
	IsMissingParent func(error) bool
	// IsRetryable reports that the transaction was undone for the sake of another
	// (serialization failure, deadlock, lock wait): running it again may succeed.
	IsRetryable func(error) bool
	// IsLost reports that the connection broke. A transaction that didn't reach its
	// commit is run again. driver.ErrBadConn counts without being asked for.
	IsLost func(error) bool
	// IsUnavailable reports that the database can't serve now and may later (full,
	// read-only, starting up, too many clients).
	IsUnavailable func(error) bool
	// Explain adds to an error what an operator should do; nil leaves it as it is. It
	// keeps the error in the chain.
	Explain func(error) error

	// TxOptions begin a transaction; nil means READ COMMITTED.
	TxOptions *sql.TxOptions
	// Prepare keeps prepared statements of the pool. Leave it false where the driver
	// does so itself (pgx) or a pooler forbids it.
	Prepare bool

	// Function runs a function that the host wrote in the database, whose names are plain
	// identifiers, see store.Functions; nil means that there are none.
	Function func(ctx context.Context, pool *sql.DB, schema, name string, in []byte) ([]byte, error)

	// Migrations are goose's SQL files in the root of a file system. In them, {name}
	// is replaced by the full name of table name.
	Migrations fs.FS
	// Goose is goose's name of the database.
	Goose goose.Dialect
	// GooseOptions give what else goose needs, the lock above all; nil means none.
	GooseOptions func(namespace string) ([]goose.ProviderOption, error)
	// BeforeMigrate prepares the namespace (creates the schema); nil does nothing.
	BeforeMigrate func(ctx context.Context, db *sql.DB, namespace string) error
	// HasTable reports whether a table (full name) exists, where goose can't tell;
	// nil leaves it to goose.
	HasTable func(ctx context.Context, db *sql.DB, table string) (bool, error)
}

// Prefixed puts the namespace before the table: auth_users for "auth_".
func Prefixed(namespace, table string) string { return namespace + table }

// Qualified makes the namespace the table's schema: auth.users for "auth".
func Qualified(namespace, table string) string {
	if namespace == "" {
		return table
	}
	return namespace + "." + table
}

// CheckNamespace refuses a namespace that isn't a plain identifier of at most 32
// characters. "" is fine.
func CheckNamespace(namespace string) error {
	for i, r := range namespace {
		letter := r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
		if !letter && (i == 0 || r < '0' || r > '9') {
			return fmt.Errorf("sqlstore: namespace %q: only letters, digits and _ are allowed, "+
				"and no digit at the start", namespace)
		}
	}
	if len(namespace) > 32 {
		return fmt.Errorf("sqlstore: namespace %q is longer than 32 characters", namespace)
	}
	return nil
}

// withDefaults fills what was left out.
func (d Dialect) withDefaults() Dialect {
	never := func(error) bool { return false }
	for _, f := range []*func(error) bool{
		&d.IsDuplicate, &d.IsMissingParent, &d.IsRetryable, &d.IsLost, &d.IsUnavailable,
	} {
		if *f == nil {
			*f = never
		}
	}
	if d.Table == nil {
		d.Table = Prefixed
	}
	if d.Time == nil {
		d.Time = func(t time.Time) any { return t }
	}
	if d.ID == nil {
		d.ID = func(id uuid.UUID) any { return id.String() }
	}
	if d.Contains == nil {
		d.Contains = like
	}
	if d.Explain == nil {
		d.Explain = func(err error) error { return err }
	}
	if d.TxOptions == nil {
		d.TxOptions = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return d
}

// like is the standard's way to look for a part of a text.
func like(expr, part string) (string, any) {
	escaped := strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(part)
	return expr + " LIKE ? ESCAPE '!'", "%" + escaped + "%"
}

// tableName finds {users} in a statement or a migration.
var tableName = regexp.MustCompile(`\{([a-z_]+)\}`)

// names replaces the tables of a text.
func (d Dialect) names(namespace, text string) string {
	return tableName.ReplaceAllStringFunc(text, func(m string) string {
		return d.Table(namespace, m[1:len(m)-1])
	})
}

// timeColumn finds @created_at in a statement.
var timeColumn = regexp.MustCompile(`@([a-z_.]+)`)

// rewrite makes of a statement as it is written in this package one that the database
// understands: {users} becomes the table's full name, @created_at the expression that
// selects a time, and ? the dialect's place of an argument.
func (d Dialect) rewrite(namespace, text string) string {
	text = d.names(namespace, text)
	text = timeColumn.ReplaceAllStringFunc(text, func(m string) string {
		if d.TimeColumn == nil {
			return m[1:]
		}
		return d.TimeColumn(m[1:])
	})
	if d.Bind == Question {
		return text
	}
	var b strings.Builder
	n := 0
	for _, r := range text {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}
