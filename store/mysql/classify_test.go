package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
)

// TestClassify: what a transaction is run again for, and what the caller may repeat.
func TestClassify(t *testing.T) {
	server := func(number uint16) error {
		return fmt.Errorf("commit: %w", &mysqldriver.MySQLError{Number: number, Message: "x"})
	}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	late := &net.OpError{Op: "dial", Err: context.DeadlineExceeded} // of the connection
	broken := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	for _, c := range []struct {
		err                                     error
		duplicate, retryable, lost, unavailable bool
	}{
		{err: server(1062), duplicate: true},
		{err: server(1213), retryable: true},
		{err: server(1205), retryable: true},
		{err: server(1047), retryable: true},
		{err: server(1020), retryable: true},
		{err: server(9007), retryable: true},
		{err: server(1053), lost: true},
		{err: server(1927), lost: true},
		{err: server(1180), unavailable: true},
		{err: server(1040), unavailable: true},
		{err: server(1290), unavailable: true},
		{err: server(1114), unavailable: true},
		{err: server(1064)},
		{err: mysqldriver.ErrInvalidConn, lost: true},
		{err: io.ErrUnexpectedEOF, lost: true},
		{err: refused, lost: true},
		{err: late, unavailable: true},
		{err: broken, lost: true},
		{err: &net.DNSError{Err: "no such host"}, lost: true},
		{err: errors.Join(context.Canceled, broken)},
		{err: context.DeadlineExceeded}, // though it is a net.Error
		{err: driver.ErrSkip},
	} {
		assert.Equal(t, c.duplicate, isDuplicate(c.err), "duplicate: %v", c.err)
		assert.Equal(t, c.retryable, isRetryable(c.err), "retryable: %v", c.err)
		assert.Equal(t, c.lost, isLost(c.err), "lost: %v", c.err)
		assert.Equal(t, c.unavailable, isUnavailable(c.err), "unavailable: %v", c.err)
	}
}
