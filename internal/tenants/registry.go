package tenants

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/seal"
)

var (
	// ErrNotFound means that there is no such instance, or host.
	ErrNotFound = errors.New("tenants: no such instance")
	// ErrExists means that the id was given to an instance before, which may be gone.
	ErrExists = errors.New("tenants: the id is taken")
	// ErrHostTaken means that a host belongs to another instance.
	ErrHostTaken = errors.New("tenants: the host is taken")
	// ErrStale means that an instance was changed since it was read.
	ErrStale = errors.New("tenants: the instance was changed meanwhile")
)

// Instance is one tenant.
type Instance struct {
	ID        uuid.UUID
	Config    Settings
	Version   int64 // of Config, from 1
	CreatedAt time.Time
	UpdatedAt time.Time
}

// The sorts of databases that can hold a [Registry].
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
	MySQL    = "mysql"
)

// Registry keeps the instances in a database that several processes may share. Their
// settings are sealed. The id of a removed instance is never given again: tokens,
// backups and logs of the old one must not become somebody else's.
type Registry struct {
	db   *sql.DB
	kind string
	box  *seal.Box
	now  func() time.Time
}

// The states of an instance.
const (
	making  = "making"  // its settings are being tried
	active  = "active"  //
	leaving = "leaving" // its accounts are being deleted
	gone    = "gone"    // only its id is left
)

// madeBy is when an instance that is being made counts as left behind by a process that
// ended.
const madeBy = 10 * time.Minute

// NewRegistry makes a Registry on a database of a kind, and its tables if they aren't
// there. The caller closes db.
func NewRegistry(ctx context.Context, db *sql.DB, kind string, box *seal.Box, now func() time.Time) (*Registry, error) {
	if db == nil || box == nil {
		return nil, errors.New("tenants: a registry needs a database and a key to seal with")
	}
	blob, ok := map[string]string{SQLite: "BLOB", Postgres: "BYTEA", MySQL: "LONGBLOB"}[kind]
	if !ok {
		return nil, fmt.Errorf("tenants: %q is no kind of database", kind)
	}
	r := &Registry{db: db, kind: kind, box: box, now: orNow(now)}
	for _, table := range []string{
		`CREATE TABLE IF NOT EXISTS truekeel_instances (id VARCHAR(36) NOT NULL PRIMARY KEY, state VARCHAR(16) NOT NULL, config ` + blob + `,
			version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS truekeel_instance_hosts (host VARCHAR(253) NOT NULL PRIMARY KEY, id VARCHAR(36) NOT NULL)`,
	} {
		// Two that start at once may both find no table; the second attempt finds it.
		if _, err := db.ExecContext(ctx, table); err != nil {
			if _, err := db.ExecContext(ctx, table); err != nil {
				return nil, fmt.Errorf("tenants: make the registry: %w", err)
			}
		}
	}
	return r, nil
}

// Ping reports whether the database answers.
func (r *Registry) Ping(ctx context.Context) error { return r.db.PingContext(ctx) }

// keys gives the keys that seal what an instance keeps: each has its own, so that
// nothing sealed by one opens in another.
func (r *Registry) keys(id uuid.UUID) [][]byte { return r.box.MACs("instance encryption key", id[:]) }

func purpose(id uuid.UUID) string { return "settings of instance " + id.String() }

// bind writes placeholders as the database wants them.
func (r *Registry) bind(query string) string {
	if r.kind != Postgres {
		return query
	}
	var b strings.Builder
	n := 0
	for _, c := range query {
		if c == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// tx runs fn in a transaction.
func (r *Registry) tx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	for tries := 0; ; tries++ {
		err := r.once(ctx, fn)
		if tries == maxTries || !undone(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(rand.Int64N(int64(20 * time.Millisecond)))): // #nosec G404 -- to spread those who collided
		}
	}
}

// maxTries is how often a transaction that was undone for the sake of another is run
// again.
const maxTries = 5

// undone reports whether a database undid a transaction for the sake of another.
func undone(err error) bool {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return my.Number == 1213 || my.Number == 1205 // deadlock, lock wait
	}
	var state interface{ SQLState() string }
	return errors.As(err, &state) && (state.SQLState() == "40001" || state.SQLState() == "40P01")
}

func (r *Registry) once(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("tenants: begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("tenants: commit: %w", err)
	}
	return nil
}

// make notes an instance whose settings are to be tried. Nobody is let into it before
// [Registry.activate].
func (r *Registry) make(ctx context.Context, i Instance) error {
	sealed, at := r.box.Seal(purpose(i.ID), i.Config.raw), i.CreatedAt.UnixMicro()
	err := r.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, r.bind(`INSERT INTO truekeel_instances (id, state, config, version, created_at, updated_at) VALUES (?, ?, ?, 1, ?, ?)`),
			i.ID.String(), making, sealed, at, at)
		if err != nil {
			return fmt.Errorf("tenants: make instance: %w", err)
		}
		return r.settle(ctx, tx, i.ID, i.Config.Hosts())
	})
	if err == nil || errors.Is(err, ErrHostTaken) {
		return err
	}
	// A conflict looks different in each database; what is there doesn't.
	if taken, lookErr := r.count(ctx, `SELECT COUNT(*) FROM truekeel_instances WHERE id = ?`, i.ID.String()); lookErr == nil && taken {
		return ErrExists
	}
	if r.anyHost(ctx, i) {
		return ErrHostTaken
	}
	return err
}

// settle gives hosts to an instance, and no others.
func (r *Registry) settle(ctx context.Context, tx *sql.Tx, id uuid.UUID, hosts []string) error {
	if _, err := tx.ExecContext(ctx, r.bind(`DELETE FROM truekeel_instance_hosts WHERE id = ?`), id.String()); err != nil {
		return fmt.Errorf("tenants: forget hosts: %w", err)
	}
	for _, h := range hosts {
		var owner string
		err := tx.QueryRowContext(ctx, r.bind(`SELECT id FROM truekeel_instance_hosts WHERE host = ?`), h).Scan(&owner)
		if err == nil {
			return ErrHostTaken
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("tenants: read host: %w", err)
		}
		if _, err := tx.ExecContext(ctx, r.bind(`INSERT INTO truekeel_instance_hosts (host, id) VALUES (?, ?)`), h, id.String()); err != nil {
			return fmt.Errorf("tenants: note host: %w", err)
		}
	}
	return nil
}

// anyHost reports whether a host of i belongs to another instance.
func (r *Registry) anyHost(ctx context.Context, i Instance) bool {
	for _, h := range i.Config.Hosts() {
		if owner, err := r.ByHost(ctx, h); err == nil && owner != i.ID {
			return true
		}
	}
	return false
}

func (r *Registry) count(ctx context.Context, query string, args ...any) (bool, error) {
	var n int
	err := r.db.QueryRowContext(ctx, r.bind(query), args...).Scan(&n)
	return n > 0, err
}

// activate lets requests into an instance that was made.
func (r *Registry) activate(ctx context.Context, id uuid.UUID) error {
	return r.move(ctx, `UPDATE truekeel_instances SET state = ? WHERE id = ? AND state = ?`, active, id.String(), making)
}

// discard forgets an instance that was made and that nobody was let into. Its id may be
// used again.
func (r *Registry) discard(ctx context.Context, id uuid.UUID) error {
	return r.tx(ctx, func(tx *sql.Tx) error {
		if err := r.settle(ctx, tx, id, nil); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, r.bind(`DELETE FROM truekeel_instances WHERE id = ? AND state = ?`), id.String(), making)
		return err
	})
}

// move changes one row, or gives ErrNotFound.
func (r *Registry) move(ctx context.Context, query string, args ...any) error {
	res, err := r.db.ExecContext(ctx, r.bind(query), args...)
	if err != nil {
		return fmt.Errorf("tenants: change instance: %w", err)
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// Get reads an instance. ErrNotFound on a miss, and for one that was removed.
func (r *Registry) Get(ctx context.Context, id uuid.UUID) (Instance, error) {
	i := Instance{ID: id}
	var sealed []byte
	var created, updated int64
	err := r.db.QueryRowContext(ctx, r.bind(`SELECT config, version, created_at, updated_at FROM truekeel_instances WHERE id = ? AND state = ?`), id.String(), active).
		Scan(&sealed, &i.Version, &created, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return Instance{}, ErrNotFound
	}
	if err != nil {
		return Instance{}, fmt.Errorf("tenants: read instance: %w", err)
	}
	raw, err := r.box.Open(purpose(id), sealed)
	if err != nil {
		return Instance{}, fmt.Errorf("tenants: settings of instance %s: %w", id, err)
	}
	i.CreatedAt, i.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	i.Config, err = ParseSettings(raw)
	return i, err
}

// Version reads which version of its settings an instance has. ErrNotFound on a miss.
func (r *Registry) Version(ctx context.Context, id uuid.UUID) (int64, error) {
	var v int64
	err := r.db.QueryRowContext(ctx, r.bind(`SELECT version FROM truekeel_instances WHERE id = ? AND state = ?`), id.String(), active).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("tenants: read version: %w", err)
	}
	return v, nil
}

// ByHost gives the instance of a host. ErrNotFound on a miss.
func (r *Registry) ByHost(ctx context.Context, host string) (uuid.UUID, error) {
	var text string
	err := r.db.QueryRowContext(ctx, r.bind(`SELECT id FROM truekeel_instance_hosts WHERE host = ?`), host).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return uuid.Nil, ErrNotFound
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("tenants: read host: %w", err)
	}
	return uuid.Parse(text)
}

// update writes the settings of an instance whose version is still i's, and raises that.
// ErrStale if it has another one, ErrNotFound if it is gone, ErrHostTaken.
func (r *Registry) update(ctx context.Context, i *Instance) error {
	sealed, at := r.box.Seal(purpose(i.ID), i.Config.raw), r.now().UTC().Truncate(time.Microsecond)
	err := r.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, r.bind(`UPDATE truekeel_instances SET config = ?, version = version + 1, updated_at = ? WHERE id = ? AND version = ? AND state = ?`),
			sealed, at.UnixMicro(), i.ID.String(), i.Version, active)
		if err != nil {
			return fmt.Errorf("tenants: change instance: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrStale, err)
		}
		return r.settle(ctx, tx, i.ID, i.Config.Hosts())
	})
	if err != nil {
		if !errors.Is(err, ErrHostTaken) && !errors.Is(err, ErrStale) && r.anyHost(ctx, *i) {
			return ErrHostTaken
		}
		return err
	}
	i.Version++
	i.UpdatedAt = at
	return nil
}

// remove takes an instance and its hosts out: from now on there is no such instance. Its
// accounts are still to be deleted, see [Registry.Leaving]. ErrNotFound on a miss.
func (r *Registry) remove(ctx context.Context, id uuid.UUID) error {
	return r.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, r.bind(`UPDATE truekeel_instances SET state = ?, config = NULL, updated_at = ? WHERE id = ? AND state = ?`),
			leaving, r.now().UnixMicro(), id.String(), active)
		if err != nil {
			return fmt.Errorf("tenants: remove instance: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrNotFound, err)
		}
		return r.settle(ctx, tx, id, nil)
	})
}

// Leaving gives the instances that were removed and whose accounts may still be there.
func (r *Registry) Leaving(ctx context.Context) ([]uuid.UUID, error) {
	rows, err := r.db.QueryContext(ctx, r.bind(`SELECT id FROM truekeel_instances WHERE state = ? OR (state = ? AND created_at < ?)`),
		leaving, making, r.now().Add(-madeBy).UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("tenants: read removed instances: %w", err)
	}
	defer rows.Close()
	var out []uuid.UUID
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("tenants: read removed instances: %w", err)
		}
		id, err := uuid.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("tenants: read removed instances: %w", err)
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// Gone notes that the accounts of a removed instance are deleted.
func (r *Registry) Gone(ctx context.Context, id uuid.UUID) error {
	return r.tx(ctx, func(tx *sql.Tx) error {
		if err := r.settle(ctx, tx, id, nil); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, r.bind(`UPDATE truekeel_instances SET state = ?, config = NULL, updated_at = ? WHERE id = ?`), gone, r.now().UnixMicro(), id.String())
		return err
	})
}

// OpenFile opens a SQLite file for a [Registry], and makes it, readable by its owner
// alone, if there is none.
func OpenFile(path string) (*sql.DB, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // #nosec G304 -- the operator names it
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("tenants: registry: %w", err)
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("tenants: registry: %w", err)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)"}, "_txlock": {"immediate"},
	}.Encode()}
	return sql.Open("sqlite", u.String())
}
