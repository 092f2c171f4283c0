package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/config"
	"github.com/truekeel/auth/tokens"
)

// administration is a command on accounts: it opens them, works and closes them.
type administration struct {
	*program
	audience string // "" for the configured one

	auth   *auth.Auth
	config *config.Config
}

func (p *program) adminCommand() *cobra.Command {
	a := &administration{program: p}
	cmd := family("admin", "Administrate accounts", a.createUser(), a.deleteUser(), a.confirm(), a.list(), a.setRole(), a.resetPassword(), a.token())
	cmd.PersistentFlags().StringVarP(&a.audience, "aud", "a", "", "audience of the account (default that of GOTRUE_JWT_AUD)")
	return cmd
}

// on makes a command's function of one that works on open accounts.
func (a *administration) on(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		var more []auth.Option
		if a.audience != "" {
			more = append(more, auth.WithAudience(a.audience))
		}
		if a.auth, a.config, err = a.open(more...); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.auth.Close(context.WithoutCancel(cmd.Context()))) }()
		return do(cmd.Context(), args)
	}
}

// find reads the account of an id or an address.
func (a *administration) find(ctx context.Context, who string) (auth.Account, error) {
	if id, err := uuid.Parse(who); err == nil {
		return a.auth.Users().Get(ctx, id)
	}
	return a.auth.Users().FindByEmail(ctx, who)
}

// password reads a password from the standard input where the argument is "-", so that
// it isn't seen in the list of processes.
func (a *administration) password(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.Join(errors.New("the standard input holds no password"), err)
	}
	return line, nil
}

func (a *administration) createUser() *cobra.Command {
	var confirm, admin bool
	cmd := &cobra.Command{
		Use: "createuser EMAIL PASSWORD [ROLE]", Short: "Make an account; a password of - is read from standard input", Args: cobra.RangeArgs(2, 3),
		RunE: a.on(func(ctx context.Context, args []string) error {
			password, err := a.password(args[1])
			if err != nil {
				return err
			}
			n := auth.NewUser{Email: args[0], Password: password, EmailConfirmed: confirm || a.config.Mailer.AutoConfirm}
			if len(args) > 2 {
				n.Role = args[2]
			}
			if admin {
				n.Role = a.config.JWT.SelfAdminRole
			}
			u, err := a.auth.Users().Create(ctx, n)
			if err == nil {
				fmt.Fprintf(a.out, "made %s %s\n", u.ID, u.Email)
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&confirm, "confirm", false, "take the address as proved")
	cmd.Flags().BoolVar(&admin, "admin", false, "give it the role of GOTRUE_JWT_ADMIN_GROUP_NAME")
	return cmd
}

func (a *administration) deleteUser() *cobra.Command {
	var soft bool
	cmd := &cobra.Command{
		Use: "deleteuser ID|EMAIL", Short: "Delete an account", Args: cobra.ExactArgs(1),
		RunE: a.on(func(ctx context.Context, args []string) error {
			u, err := a.find(ctx, args[0])
			if err != nil {
				return err
			}
			remove := a.auth.Users().Delete
			if soft {
				remove = a.auth.Users().SoftDelete
			}
			if err := remove(ctx, u.ID); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "deleted %s\n", u.ID)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&soft, "soft", false, "keep the row under an unreadable name")
	return cmd
}

// change makes the function of a command that changes one account.
func (a *administration) change(said string, to func(args []string) (auth.Change, error)) func(*cobra.Command, []string) error {
	return a.on(func(ctx context.Context, args []string) error {
		u, err := a.find(ctx, args[0])
		if err != nil {
			return err
		}
		c, err := to(args)
		if err != nil {
			return err
		}
		if _, err := a.auth.Users().Update(ctx, u.ID, c); err != nil {
			return err
		}
		fmt.Fprintf(a.out, said+"\n", u.ID)
		return nil
	})
}

func (a *administration) confirm() *cobra.Command {
	return &cobra.Command{
		Use: "confirm ID|EMAIL", Short: "Take an account's address as proved", Args: cobra.ExactArgs(1),
		RunE: a.change("confirmed %s", func([]string) (auth.Change, error) { return auth.Change{EmailConfirmed: true}, nil }),
	}
}

func (a *administration) setRole() *cobra.Command {
	return &cobra.Command{
		Use: "set-role ID|EMAIL ROLE", Short: "Give an account a role", Args: cobra.ExactArgs(2),
		RunE: a.change("changed %s", func(args []string) (auth.Change, error) { return auth.Change{Role: &args[1]}, nil }),
	}
}

func (a *administration) resetPassword() *cobra.Command {
	return &cobra.Command{
		Use:   "reset-password ID|EMAIL [PASSWORD]",
		Short: "Give an account a password and end its sessions; without one it is made and printed, one of - is read from standard input",
		Args:  cobra.RangeArgs(1, 2),
		RunE: a.change("changed %s", func(args []string) (auth.Change, error) {
			if len(args) == 1 {
				made := rand.Text()
				fmt.Fprintln(a.out, "password "+made)
				return auth.Change{Password: &made}, nil
			}
			password, err := a.password(args[1])
			return auth.Change{Password: &password}, err
		}),
	}
}

func (a *administration) list() *cobra.Command {
	var filter string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List accounts, newest first", Args: cobra.NoArgs,
		RunE: a.on(func(ctx context.Context, _ []string) error {
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tEMAIL\tROLE\tCONFIRMED\tCREATED\tSTATE")
			q := auth.List{Filter: filter}
			err := pages(limit, func(size int) (int, error) {
				q.Limit = size
				page, err := a.auth.Users().List(ctx, q)
				for _, u := range page {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", u.ID, or(u.Email, "-"), u.Role, date(u.EmailConfirmedAt), date(u.CreatedAt), state(u))
					q.After = &u
				}
				return len(page), err
			})
			return errors.Join(err, w.Flush())
		}),
	}
	cmd.Flags().StringVar(&filter, "filter", "", "part of the address, or of full_name in the user metadata")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most; 0 for all")
	return cmd
}

// maxPage is how many rows are asked for at once.
const maxPage = 1000

// pages asks for a list page by page, until there are so many rows (0: all of them) or a
// page isn't full. page is told how many to ask for, and gives how many came.
func pages(most int, page func(size int) (int, error)) error {
	if most < 0 {
		return errors.New("--limit can't be negative; 0 is for all")
	}
	for left := most; left > 0 || most == 0; {
		size := maxPage
		if most > 0 {
			size = min(left, maxPage)
		}
		n, err := page(size)
		if err != nil || n < size {
			return err
		}
		left -= n
	}
	return nil
}

func (a *administration) token() *cobra.Command {
	role, life := "", 24*time.Hour
	cmd := &cobra.Command{
		Use: "token", Short: "Print a token that may use the administrator's endpoints", Args: cobra.NoArgs,
		Long: `Print a token that may use the administrator's endpoints. It is good as long as it says
and the key that signed it isn't retired: a key that was made, and not configured, is
replaced by "truekeel keys rotate".`,
		RunE: a.on(func(_ context.Context, _ []string) error {
			c := tokens.Claims{Role: or(role, serviceRole(a.config.JWT.AdminRoles)), Issuer: a.config.JWT.Issuer}
			if life < 0 {
				return errors.New("a token's life can't be negative")
			}
			if life > 0 {
				c.ExpiresAt = time.Now().Add(life)
			}
			token, err := tokens.NewIssuer(a.auth.Keyring(), tokens.IssuerConfig{Issuer: a.config.API.ExternalURL}).Issue(c)
			if err == nil {
				fmt.Fprintln(a.out, token)
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&role, "role", "", "the token's role (default service_role, or the first of GOTRUE_JWT_ADMIN_ROLES)")
	cmd.Flags().DurationVar(&life, "life", life, "how long it is good; 0 for good")
	return cmd
}

// serviceRole is the role of a back end among those that administrate.
func serviceRole(roles []string) string {
	const usual = "service_role"
	if slices.Contains(roles, usual) {
		return usual
	}
	return roles[0] // config refuses none
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateOnly)
}

// minute is for times that are near.
func minute(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04Z07:00")
}

func state(u auth.Account) string {
	switch {
	case !u.DeletedAt.IsZero():
		return "deleted"
	case u.BannedUntil.After(time.Now()):
		return "banned until " + u.BannedUntil.Format(time.RFC3339)
	}
	return "active"
}
