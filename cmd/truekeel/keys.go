package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/truekeel/auth/tokens"
)

func (p *program) keysCommand() *cobra.Command {
	return family("keys", "List, rotate, import and retire the keys that sign access tokens", p.keysList(), p.keysRotate(), p.keysImport(), p.keysRetire())
}

// onKeys makes a command's function of one that works on the keys.
func (p *program) onKeys(do func(ctx context.Context, k *tokens.Keyring, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		a, _, err := p.open()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(cmd.Context()))) }()
		err = do(cmd.Context(), a.Keyring(), args)
		if errors.Is(err, tokens.ErrConfigured) {
			return errors.New("the keys come from GOTRUE_JWT_SECRET or GOTRUE_JWT_KEYS: change those and restart")
		}
		return err
	}
}

func (p *program) keysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys, oldest first", Args: cobra.NoArgs,
		RunE: p.onKeys(func(ctx context.Context, k *tokens.Keyring, _ []string) error {
			keys, err := k.Keys(ctx)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tALGORITHM\tSTATE\tCREATED\tUNTIL")
			for _, key := range keys {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", or(key.ID, "-"), key.Algorithm, key.State, date(key.CreatedAt), minute(key.Until))
			}
			return w.Flush()
		}),
	}
}

func (p *program) keysRotate() *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Publish a new key, which signs after 15 minutes", Args: cobra.NoArgs,
		RunE: p.onKeys(func(ctx context.Context, k *tokens.Keyring, _ []string) error {
			key, err := k.Rotate(ctx)
			if err == nil && now {
				key, err = k.Promote(ctx)
			}
			return p.said(key, err)
		}),
	}
	cmd.Flags().BoolVar(&now, "now", false, "let it sign at once; who caches the key set may refuse its first tokens")
	return cmd
}

func (p *program) keysImport() *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Publish a private key from a PEM or JWK file, which signs after 15 minutes; - for standard input", Args: cobra.ExactArgs(1),
		RunE: p.onKeys(func(ctx context.Context, k *tokens.Keyring, args []string) error {
			key, err := p.readKey(args[0])
			if err != nil {
				return err
			}
			return p.said(k.Import(ctx, key))
		}),
	}
}

func (p *program) readKey(name string) (tokens.Key, error) {
	in := p.in
	if name != "-" {
		f, err := os.Open(name) // #nosec G304 -- the operator names it
		if err != nil {
			return tokens.Key{}, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return tokens.Key{}, err
	}
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		return tokens.ParseJWK(text)
	}
	return tokens.ParsePEM(text)
}

func (p *program) keysRetire() *cobra.Command {
	return &cobra.Command{
		Use: "retire ID", Short: "End a key at once: tokens that it signed are refused", Args: cobra.ExactArgs(1),
		RunE: p.onKeys(func(ctx context.Context, k *tokens.Keyring, args []string) error {
			return p.said(k.Retire(ctx, args[0]))
		}),
	}
}

// said prints what became of a key.
func (p *program) said(key tokens.KeyInfo, err error) error {
	if err == nil {
		fmt.Fprintf(p.out, "%s is %s\n", key.ID, key.State)
	}
	return err
}
