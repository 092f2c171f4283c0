package main

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/truekeel/auth/config"
)

// newLogger makes the logger that the variables ask for. The file is nil if it logs to
// out.
func newLogger(c config.Log, out io.Writer) (*slog.Logger, *logFile, error) {
	var file *logFile
	if c.File != "" {
		file = &logFile{path: c.File}
		if err := file.Reopen(); err != nil {
			return nil, nil, err
		}
		out = file
	}
	options := &slog.HandlerOptions{Level: level(c.Level)}
	var h slog.Handler = slog.NewJSONHandler(out, options)
	if c.Format == "text" {
		h = slog.NewTextHandler(out, options)
	}
	attrs := make([]slog.Attr, 0, len(c.Fields))
	for _, k := range slices.Sorted(maps.Keys(c.Fields)) {
		attrs = append(attrs, slog.String(k, c.Fields[k]))
	}
	return slog.New(h.WithAttrs(attrs)), file, nil
}

// level maps GoTrue's levels. Nothing is logged at fatal or panic: what ends the program
// is an error.
func level(name string) slog.Level {
	switch name {
	case "debug", "trace":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "fatal", "panic":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// logFile is a file that can be moved away and opened anew under its name.
type logFile struct {
	path string

	mu   sync.Mutex
	file *os.File
}

// Write appends to the file.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(b)
}

// Reopen opens the file anew. If that fails, the old one stays in use.
func (l *logFile) Reopen() error {
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640) // #nosec G302 G304 -- the operator names it, and log shippers read it by their group
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.file
	l.file = file
	if old != nil {
		return old.Close()
	}
	return nil
}

// Close closes the file.
func (l *logFile) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.file.Sync(), l.file.Close())
}
