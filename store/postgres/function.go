package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"
)

// functionTime is how long a function may take whose caller sets no deadline.
const functionTime = 2 * time.Second

// callFunction runs a host's function in a transaction whose statements the server
// itself cuts short: a pooler in between might not pass on that the caller gave up.
func callFunction(ctx context.Context, pool *sql.DB, schema, name string, in []byte) ([]byte, error) {
	limit := functionTime
	if end, ok := ctx.Deadline(); ok {
		limit = time.Until(end)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	// The value is a number that was made here. SET takes no arguments.
	milliseconds := strconv.FormatInt(max(limit.Milliseconds(), 1), 10)
	if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = "+milliseconds); err != nil {
		return nil, functionError(err)
	}
	var out sql.NullString
	// The names were checked: they hold no quote.
	query := `SELECT "` + schema + `"."` + name + `"($1::jsonb)::text`
	if err := tx.QueryRowContext(ctx, query, string(in)).Scan(&out); err != nil {
		return nil, functionError(err)
	}
	if err := tx.Commit(); err != nil {
		return nil, functionError(err)
	}
	if !out.Valid {
		return nil, nil
	}
	return []byte(out.String), nil
}

// functionError takes the text away that the function may have written, and keeps the
// code. The server's log has the rest.
func functionError(err error) error {
	switch state := sqlState(err); state {
	case "":
		return err
	case queryCanceled:
		return fmt.Errorf("postgres: SQLSTATE %s: %w", state, context.DeadlineExceeded)
	default:
		return fmt.Errorf("postgres: SQLSTATE %s", state)
	}
}
