package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/mysql"
	"github.com/truekeel/auth/store/postgres"
	"github.com/truekeel/auth/store/sqlite"
)

// The databases.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
	MySQL    = "mysql"
)

// Resolve gives the sort of database (SQLite, Postgres or MySQL) and what its driver
// needs to open it: a path, a URL, a DSN. The latter may hold a password, errors don't.
func (d DB) Resolve() (driver, dsn string, err error) {
	scheme, _, hasScheme := strings.Cut(d.URL, ":")
	byURL := map[string]string{"sqlite": SQLite, "sqlite3": SQLite, "postgres": Postgres, "postgresql": Postgres, "mysql": MySQL, "mariadb": MySQL}[scheme]
	if !hasScheme {
		byURL = ""
	}
	driver = map[string]string{"": byURL, "sqlite3": SQLite, "postgresql": Postgres, "mariadb": MySQL}[d.Driver]
	if driver == "" {
		driver = d.Driver
	}
	switch {
	case byURL != "" && driver != byURL:
		return "", "", fmt.Errorf("the address begins with %s:, and GOTRUE_DB_DRIVER is %s", scheme, d.Driver)
	case driver == "" && (strings.Contains(d.URL, "://") || strings.Contains(d.URL, "@")):
		return "", "", errors.New("it isn't clear which sort of database it is; begin it with sqlite:, postgres:// or mysql://, or set GOTRUE_DB_DRIVER")
	case driver == "" || driver == SQLite:
		dsn, err = sqlitePath(d.URL)
		return SQLite, dsn, err
	case driver == MySQL:
		dsn, err = mysqlDSN(d.URL)
		return MySQL, dsn, err
	}
	return driver, d.URL, nil
}

// sqlitePath reads a path, sqlite:PATH, sqlite://PATH or file:PATH.
func sqlitePath(s string) (string, error) {
	for _, scheme := range []string{"sqlite3:", "sqlite:", "file:"} {
		if rest, ok := strings.CutPrefix(s, scheme); ok {
			s = strings.TrimPrefix(rest, "//")
			break
		}
	}
	switch {
	case s == "" || strings.HasPrefix(s, ":"):
		return "", errors.New("it names no file; the accounts must outlive the server")
	case strings.ContainsAny(s, "?\x00"):
		return "", errors.New("the path of a SQLite file can't have parameters")
	}
	return s, nil
}

// mysqlDSN makes go-sql-driver's form, user:password@tcp(host:port)/database, of that, of a
// mysql:// URL, or of user:password@host:port/database.
func mysqlDSN(s string) (string, error) {
	if strings.HasPrefix(s, "mysql://") || strings.HasPrefix(s, "mariadb://") {
		return mysqlURL(s)
	}
	if before, after, ok := cutLast(s, "@"); ok && !strings.Contains(after, "(") {
		host, rest, ok := strings.Cut(after, "/")
		if ok && host != "" {
			s = before + "@tcp(" + host + ")/" + rest
		}
	}
	if _, err := mysqldriver.ParseDSN(s); err != nil {
		return "", errors.New("it is no DSN of MySQL: it should look like user:password@tcp(host:3306)/database")
	}
	return s, nil
}

func mysqlURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return "", errors.New("it is no address of MySQL: it should look like mysql://user:password@host:3306/database")
	}
	c := mysqldriver.NewConfig()
	c.Net, c.Addr, c.DBName = "tcp", u.Host, strings.Trim(u.Path, "/")
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	dsn := c.FormatDSN()
	if u.RawQuery != "" {
		separator := "?"
		if strings.Contains(dsn, "?") {
			separator = "&"
		}
		dsn += separator + u.RawQuery
	}
	if _, err := mysqldriver.ParseDSN(dsn); err != nil {
		return "", errors.New("a parameter of the MySQL address isn't understood")
	}
	return dsn, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Open opens the store, which the caller closes. An unreachable server shows at its first
// use.
func (d DB) Open(_ context.Context, logger *slog.Logger) (store.Store, error) {
	driver, dsn, err := d.Resolve()
	if err != nil {
		return nil, err
	}
	switch driver {
	case Postgres:
		opts := []postgres.Option{postgres.WithLogger(logger)}
		if d.Namespace != "" {
			opts = append(opts, postgres.WithSchema(d.Namespace))
		}
		if d.MaxPool > 0 {
			opts = append(opts, postgres.WithMaxConns(d.MaxPool))
		}
		return opened(postgres.Open(dsn, opts...))
	case MySQL:
		opts := []mysql.Option{mysql.WithLogger(logger)}
		if d.Namespace != "" {
			opts = append(opts, mysql.WithPrefix(d.tablePrefix()))
		}
		if d.MaxPool > 0 {
			opts = append(opts, mysql.WithMaxConns(d.MaxPool))
		}
		return opened(mysql.Open(dsn, opts...))
	}
	opts := []sqlite.Option{sqlite.WithLogger(logger)}
	if d.Namespace != "" {
		opts = append(opts, sqlite.WithPrefix(d.tablePrefix()))
	}
	if d.MaxPool > 0 {
		opts = append(opts, sqlite.WithReaders(d.MaxPool))
	}
	return opened(sqlite.Open(dsn, opts...))
}

// opened keeps a nil pointer from becoming a Store that isn't nil.
func opened[S store.Store](s S, err error) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// tablePrefix is what the names of tables begin with where there are no schemas.
func (d DB) tablePrefix() string { return strings.TrimSuffix(d.Namespace, "_") + "_" }
