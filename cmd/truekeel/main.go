// Command truekeel is user accounts as a server: package auth behind the variables by
// which GoTrue is configured. See docs/standalone.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/config"
	"github.com/truekeel/auth/mail"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program. It gives its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	p := &program{in: in, out: out, err: errs}
	root := p.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errFound) {
		fmt.Fprintf(errs, "truekeel: %v\n", err)
	}
	if err != nil {
		return 1
	}
	return 0
}

// program is what the commands share.
type program struct {
	in       io.Reader
	out, err io.Writer
	files    []string // of variables, by -c
	keel     string   // a keelconfig.yaml, by --keelconfig; "" for none
}

func (p *program) root() *cobra.Command {
	var serve serveFlags
	root := &cobra.Command{
		Use:   "truekeel",
		Short: "User accounts as a server that speaks GoTrue's protocol",
		Long: `User accounts as a server that speaks GoTrue's protocol. Without a command it serves.

It is configured by environment variables, see docs/configuration.md. With none set it
serves on port 8081 of this machine alone and keeps its accounts in ./auth.db.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context(), serve) },
	}
	root.PersistentFlags().StringArrayVarP(&p.files, "config", "c", nil, "file of variables that overrule the environment")
	root.PersistentFlags().StringVar(&p.keel, "keelconfig", "", "keelconfig.yaml whose section auth sets up the Keel dialect")
	serve.add(root)
	root.AddCommand(p.serveCommand(), p.migrateCommand(), p.adminCommand(), p.keysCommand(), p.webhooksCommand(), p.doctorCommand(), p.multiCommand(), p.versionCommand())
	return root
}

// family is a command that does nothing without one of its own. Cobra would print the help
// for a misspelled one and end well, and a script would take it for done.
func family(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(commands...)
	return cmd
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { fmt.Fprintln(p.out, "truekeel "+version()) },
	}
}

// version is the program's, with the revision it was built from if that is known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return v + " " + s.Value[:12]
		}
	}
	return v
}

// open makes an Auth for a command that does one thing and ends. It sends no mail: those
// that wait are the server's.
func (p *program) open(more ...auth.Option) (*auth.Auth, *config.Config, error) {
	c, _, err := p.configured()
	if err != nil {
		return nil, nil, err
	}
	if c.Multi.Enabled {
		return nil, nil, errors.New("GOTRUE_MULTIINSTANCEMODE is on: each instance has accounts and keys of its own, which its endpoints administrate; see docs/multi.md")
	}
	c.Hooks.SendEmail.Enabled = false
	a, err := auth.New(append(append(c.Options(), auth.WithMailer(noMail{})), more...)...)
	return a, c, err
}

// noMail is the mailer of commands. Mails carry the name of the sender that is to send
// them, and no mail carries this one's.
type noMail struct{}

// Send refuses.
func (noMail) Send(context.Context, mail.Message) error {
	return errors.New("this command sends no mail")
}
