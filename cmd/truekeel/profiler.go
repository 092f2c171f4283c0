package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/truekeel/auth/config"
)

// profiler serves the profiles of the program on a port of its own.
type profiler struct {
	listener net.Listener
	http     *http.Server
}

func newProfiler(c config.Profiler, logger *slog.Logger) (*profiler, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	addProfiles(mux)
	logger.Info("serving profiles", "address", l.Addr().String())
	return &profiler{l, &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}}, nil
}

func addProfiles(mux *http.ServeMux) {
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

func (p *profiler) serve() error { return p.http.Serve(p.listener) }
