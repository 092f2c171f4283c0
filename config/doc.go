package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteDoc writes the documentation of the variables in Markdown.
func WriteDoc(w io.Writer) error {
	var b strings.Builder
	b.WriteString(docHead)
	section := ""
	for _, k := range Keys() {
		if k.Section != section {
			section = k.Section
			fmt.Fprintf(&b, "\n## %s\n\n", section)
			if k.intro != "" {
				b.WriteString(k.intro + "\n")
			}
			b.WriteString("| Variable | Value | Default | Effect |\n|---|---|---|---|\n")
		}
		def := "none"
		if k.Default != "" {
			def = code(k.Default)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", k.docName(), cell(k.Type), def, cell(k.docEffect()))
	}
	b.WriteString(docAbsent)
	for _, a := range AbsentKeys() {
		quoted := make([]string, len(a.Names))
		for i, n := range a.Names {
			quoted[i] = code(n)
		}
		fmt.Fprintf(&b, "- **%s:** %s\n", a.Feature, strings.Join(quoted, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const docHead = `# Configuration of the standalone server

<!-- Generated from package config: go test ./config -run TestDoc -update -->

` + "`truekeel`" + ` is configured as GoTrue is: by environment variables, and by a file ` + "`.env`" + ` in the
working directory for those that the environment doesn't have. Variables of a file that is given with
` + "`-c FILE`" + ` overrule both. An empty variable is one that isn't set. A value that can't be used stops
the start; all that are wrong are reported at once. A variable that begins with ` + "`GOTRUE_`" + ` and
isn't known is warned about. ` + "`truekeel doctor`" + ` finds what is allowed and dangerous.

Durations are seconds (` + "`900`" + `) or numbers with a unit (` + "`15m`, `1h30m`, `250ms`" + `). Lists have commas
between their values, maps are ` + "`name:value`" + ` pairs with commas between them. Booleans are true or false, 1 or
0. Where an example is a command (` + "`$(openssl ...)`" + `), put in what it prints: no shell reads these files. Variables
marked with ° are Truekeel's own; GoTrue doesn't have them.

How the defaults differ from those of GoTrue and of the library: [standalone.md](standalone.md).
`

const docAbsent = `
## Not supported

These variables of GoTrue have no effect. The start warns of each that is set to something else than
false.

`

// docName is the variable's names, the main one first.
func (k Key) docName() string {
	s := code(k.Names[0])
	if k.Own {
		s += "°"
	}
	for _, n := range k.Names[1:] {
		s += "<br>" + code(n)
	}
	return s
}

func (k Key) docEffect() string {
	if k.Example == "" || k.Example == k.Default {
		return k.Doc
	}
	return k.Doc + " Example: " + code(k.Example)
}

func code(s string) string { return "`" + strings.ReplaceAll(s, "|", "\\|") + "`" }

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
