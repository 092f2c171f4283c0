package host

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Compared tells the host whether a password was the account's, and gives what the host
// decides. It is told once a request, unless the password is another's meanwhile.
func (t *Talk) Compared(ctx context.Context, id uuid.UUID, valid bool) (Decision, error) {
	if t == nil || t.steps.PasswordVerification == nil {
		return Decision{}, nil
	}
	about := subject{wrong, id}
	if valid {
		about.moment = right
	}
	if a, asked := t.answers[about]; asked {
		return a.decision, nil
	}
	begun := t.steps.Now()
	err := t.put(ctx, &question{t, about, func(ctx context.Context) (answer, error) {
		d, err := t.steps.PasswordVerification(ctx, id, valid)
		return answer{decision: d}, err
	}})
	t.steps.took.Store(int64(t.steps.Now().Sub(begun)))
	return t.answers[about].decision, err
}

// longest is how long Uncompared waits at most.
const longest = 5 * time.Second

// Uncompared is for an address that has no account or no password, of which the host
// isn't told: it takes as long as Compared did last, so that the time doesn't tell them
// apart.
func (t *Talk) Uncompared(ctx context.Context) error {
	if t == nil {
		return nil
	}
	wait := min(time.Duration(t.steps.took.Load()), longest)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
