package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/truekeel/auth"
)

// mailLog logs what becomes of mails.
type mailLog struct{ log *slog.Logger }

// BeginRequest leaves requests alone.
func (mailLog) BeginRequest(r *http.Request, _ string) (context.Context, func(auth.Answer)) {
	return r.Context(), nil
}

// Observe logs what the outbox tells.
func (m mailLog) Observe(e auth.Event) {
	if strings.HasPrefix(e.Name, "outbox.") {
		m.log.Info("mail", "event", e.Name, "id", e.ID, "attempts", e.Attempts, "age", e.Age, "reason", e.Reason)
	}
}
