package config

import (
	"slices"
	"strconv"
	"strings"
)

// strangers warns of variables that are set and have no effect: those of features that
// aren't there, one warning a feature, and those that nobody knows.
func strangers(vars map[string]string) []Warning {
	known := knownNames(vars)
	groups := AbsentKeys()
	found := make([][]string, len(groups))
	var out []Warning
	for _, name := range sortedKeys(vars) {
		if vars[name] == "" || slices.Contains(known, name) {
			continue
		}
		if i := slices.IndexFunc(groups, func(a Absent) bool { return a.covers(name) }); i >= 0 {
			if !isOff(vars[name]) {
				found[i] = append(found[i], name)
			}
			continue
		}
		if strings.HasPrefix(name, prefix) {
			out = append(out, unknown(name, known, groups))
		}
	}
	for i, names := range found {
		if len(names) > 0 {
			out = append(out, Warning{names, "not supported: " + groups[i].Feature})
		}
	}
	return out
}

// isOff reports whether a value switches a feature off, which is as if it weren't there.
func isOff(value string) bool {
	on, err := strconv.ParseBool(strings.TrimSpace(value))
	return err == nil && !on
}

func knownNames(vars map[string]string) []string {
	var out []string
	for _, k := range keysOf(everyName(vars)...) {
		out = append(out, k.Names...)
	}
	return out
}

// unknown is the warning of a name that nobody knows, with the name that was meant.
func unknown(name string, known []string, groups []Absent) Warning {
	for _, g := range groups {
		known = append(slices.Clip(known), g.Names...)
	}
	text := "unknown, so it has no effect"
	if near := nearest(name, known); near != "" {
		text += "; is " + near + " meant?"
	}
	return Warning{[]string{name}, text + strangeProvider(name)}
}

// nearest gives the name that the fewest changes lead to, "" if it takes so many that it
// can't be meant.
func nearest(name string, known []string) string {
	best, least := "", max(2, (len(name)-len(prefix))/3)+1
	for _, k := range known {
		if strings.HasSuffix(k, "*") {
			continue
		}
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or changed to make b of a
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
