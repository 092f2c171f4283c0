package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/truekeel/auth"
)

func (p *program) webhooksCommand() *cobra.Command {
	a := &administration{program: p}
	return family("webhooks", "See what receivers of events were told, and tell them again", a.listEvents(), a.showEvent(), a.redeliver())
}

func (a *administration) listEvents() *cobra.Command {
	var state, user, endpoint, kind string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List events, newest first", Args: cobra.NoArgs,
		RunE: a.on(func(ctx context.Context, _ []string) error {
			q := auth.WebhookList{State: auth.WebhookState(state), Endpoint: endpoint, Type: auth.EventType(kind)}
			switch q.State {
			case "", auth.WebhookPending, auth.WebhookDelivered, auth.WebhookGivenUp:
			default:
				return fmt.Errorf("there is no state %q; there are pending, delivered and given_up", state)
			}
			if user != "" {
				u, err := uuid.Parse(user)
				if err != nil {
					return fmt.Errorf("--user %q is no id of a user", user)
				}
				q.UserID = u
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tENDPOINT\tTYPE\tUSER\tCREATED\tSTATE\tATTEMPTS\tLAST")
			err := pages(limit, func(size int) (int, error) {
				q.Limit = size
				page, err := a.auth.Webhooks().List(ctx, q)
				for _, e := range page {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n",
						e.ID, e.Endpoint, e.Type, e.UserID, e.CreatedAt.Format(time.RFC3339), e.State, e.Attempts, last(e))
					q.After = e.ID
				}
				return len(page), err
			})
			return errors.Join(err, w.Flush())
		}),
	}
	cmd.Flags().StringVar(&state, "state", "", "pending, delivered or given_up; default all")
	cmd.Flags().StringVar(&user, "user", "", "id of the user whom they are about")
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "name of the receiver")
	cmd.Flags().StringVar(&kind, "type", "", "type of event, as user.created")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most; 0 for all")
	return cmd
}

// last is how the last attempt ended.
func last(e auth.EventDelivery) string {
	switch {
	case e.LastError != "":
		return e.LastError
	case e.LastStatus != 0:
		return strconv.Itoa(e.LastStatus)
	}
	return "-"
}

func (a *administration) showEvent() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show an event and what became of it", Args: cobra.ExactArgs(1),
		RunE: a.on(func(ctx context.Context, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return auth.ErrEventNotFound
			}
			e, err := a.auth.Webhooks().Get(ctx, id)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, line := range [][2]string{
				{"id", e.ID.String()}, {"endpoint", e.Endpoint}, {"type", string(e.Type)}, {"user", e.UserID.String()},
				{"created", instant(e.CreatedAt)}, {"state", string(e.State)}, {"attempts", strconv.Itoa(e.Attempts)},
				{"last attempt", instant(e.LastAt)}, {"last status", strconv.Itoa(e.LastStatus)}, {"last error", or(e.LastError, "-")}, {"done", instant(e.DoneAt)},
			} {
				fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
			}
			var body bytes.Buffer
			if err := errors.Join(json.Indent(&body, e.Body, "", "  "), w.Flush()); err != nil {
				return err
			}
			fmt.Fprintln(a.out, body.String())
			return nil
		}),
	}
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339Nano)
}

func (a *administration) redeliver() *cobra.Command {
	var givenUp bool
	cmd := &cobra.Command{
		Use: "redeliver [ID...]", Short: "Post events that were delivered or given up once more",
		Long: `Post events that were delivered or given up once more, with their ids and contents. The
server does so within seconds, or this command, which stays for a minute at most; what a
receiver refuses is tried again by the server.`,
		RunE: a.on(func(ctx context.Context, args []string) error {
			ids, err := a.chosen(ctx, args, givenUp)
			if err != nil {
				return err
			}
			var failed []error // the events of a receiver that is gone hold up no others
			for _, id := range ids {
				if err := a.auth.Webhooks().Redeliver(ctx, id); err != nil {
					failed = append(failed, fmt.Errorf("%s: %w", id, err))
					continue
				}
				fmt.Fprintf(a.out, "redelivering %s\n", id)
			}
			// There may be no server. What fails stays in the list, where it is seen.
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			_ = a.auth.Deliver(ctx)
			return errors.Join(failed...)
		}),
	}
	cmd.Flags().BoolVar(&givenUp, "given-up", false, "all that were given up, oldest first")
	return cmd
}

// chosen are the events of a redelivery.
func (a *administration) chosen(ctx context.Context, args []string, givenUp bool) (ids []uuid.UUID, err error) {
	if givenUp == (len(args) > 0) {
		return nil, errors.New("name events by their ids, or all that were given up by --given-up")
	}
	for _, arg := range args {
		id, err := uuid.Parse(arg)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", arg, auth.ErrEventNotFound)
		}
		ids = append(ids, id)
	}
	for q := (auth.WebhookList{State: auth.WebhookGivenUp, Limit: 1000}); givenUp; q.After = ids[0] {
		page, err := a.auth.Webhooks().List(ctx, q)
		if err != nil || len(page) == 0 {
			return ids, err
		}
		older := make([]uuid.UUID, 0, len(page)+len(ids))
		for n := len(page) - 1; n >= 0; n-- {
			older = append(older, page[n].ID)
		}
		ids = append(older, ids...)
	}
	return ids, nil
}
