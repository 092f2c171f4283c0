package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/assert"
)

// TestClassify: what a transaction is run again for, and what the caller may repeat,
// whichever driver tells it.
func TestClassify(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	late := &net.OpError{Op: "dial", Err: context.DeadlineExceeded} // of the connection
	broken := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	type class struct{ duplicate, retryable, lost, unavailable bool }
	check := func(err error, want class) {
		t.Helper()
		assert.Equal(t, want, class{isDuplicate(err), isRetryable(err), isLost(err), isUnavailable(err)}, "%v", err)
	}
	for state, want := range map[string]class{
		"23505": {duplicate: true},
		"40001": {retryable: true},
		"40P01": {retryable: true},
		"55P03": {retryable: true},
		"08006": {lost: true},
		"08P01": {lost: true},
		"57P01": {lost: true},
		"57P03": {lost: true},
		"57014": {unavailable: true},
		"53300": {unavailable: true},
		"53100": {unavailable: true},
		"25006": {unavailable: true},
		"28P01": {},
		"42P01": {},
		"42601": {},
	} {
		check(fmt.Errorf("commit: %w", &pgconn.PgError{Code: state}), want)
		check(fmt.Errorf("commit: %w", &pq.Error{Code: pqerror.Code(state)}), want)
	}
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, refused, broken, &net.DNSError{Err: "no such host"}, net.ErrClosed} {
		check(err, class{lost: true})
	}
	check(late, class{unavailable: true})
	check(errors.Join(context.Canceled, broken), class{})
	check(context.DeadlineExceeded, class{}) // though it is a net.Error
	check(errors.New("x"), class{})
}
