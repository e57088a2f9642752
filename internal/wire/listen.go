package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/pires/go-proxyproto"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 5 * time.Minute
	drainTimeout  = 5 * time.Second
)

// Serve answers the connections of a listener until ctx is done; then it lets running requests end, for a bounded
// time. A server may serve several listeners at once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		// Whoever still talks has had its time.
		_ = server.Close()
	}
	<-done
	return nil
}

// ListenEdge returns the listener for calls from inside VPCs: a Unix socket on which the keeper passes TLS connections,
// each behind a PROXY v2 header that tells who called. A socket that a killed daemon left behind is replaced.
func ListenEdge(path string, config *tls.Config) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old edge socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on edge socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("protect edge socket: %w", err)
	}
	proxied := &proxyproto.Listener{
		Listener: ln, ReadHeaderTimeout: headerTimeout,
		ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil },
	}
	if len(config.NextProtos) == 0 {
		config = config.Clone()
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	return tls.NewListener(proxied, config), nil
}
