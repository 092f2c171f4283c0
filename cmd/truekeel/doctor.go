package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/truekeel/auth/config"
)

// errFound ends a command that has already said what it found.
var errFound = errors.New("found something")

// finding is something wrong with a configuration, and what to do.
type finding struct {
	about, problem, remedy string
}

func (p *program) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong or dangerous in the configuration; fails if there is something", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.doctor(cmd.Context()) },
	}
}

func (p *program) doctor(ctx context.Context) error {
	c, warnings, err := p.configured()
	var wrong *config.Error
	if err != nil && !errors.As(err, &wrong) {
		return err
	}
	n := 0
	if wrong != nil {
		for _, f := range wrong.Findings {
			n++
			fmt.Fprintln(p.out, "- "+f.String())
		}
	}
	for _, w := range warnings {
		n++
		fmt.Fprintln(p.out, "- "+w.String())
	}
	if wrong == nil {
		e := examination{c: c, files: append([]string{".env"}, p.files...)}
		for _, f := range e.all(ctx) {
			n++
			fmt.Fprintf(p.out, "- %s: %s\n  %s\n", f.about, f.problem, f.remedy)
		}
	}
	if n == 0 {
		fmt.Fprintln(p.out, "nothing found")
		return nil
	}
	fmt.Fprintf(p.out, "%d found\n", n)
	return errFound
}
