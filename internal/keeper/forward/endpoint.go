package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"github.com/neargate/neargate/internal/keeper/sockets"
)

const (
	// waitForDaemon is how long a connection is held while the daemon is away.
	waitForDaemon = 60 * time.Second
	maxWaiting    = 1024 // connections held per endpoint
	retryFirst    = 20 * time.Millisecond
	retryMost     = 250 * time.Millisecond
)

// Endpoint passes connections on to a Unix socket, each preceded by a PROXY v2 header that tells who connected, and to
// which address. While nobody listens there, connections wait.
type Endpoint struct {
	conns   sockets.Conns
	waiting atomic.Int64
	dials   context.Context
	stop    context.CancelFunc
}

// NewEndpoint returns an endpoint without listeners.
func NewEndpoint() *Endpoint {
	ctx, cancel := context.WithCancel(context.Background())
	return &Endpoint{dials: ctx, stop: cancel}
}

// Serve passes on what the listener accepts to the socket, until it fails for good; it does not close the listener.
func (e *Endpoint) Serve(l net.Listener, socket string) error {
	return acceptLoop(l, func(c net.Conn) { e.pass(c, socket) })
}

func (e *Endpoint) pass(c net.Conn, socket string) {
	client, ok := c.(halfCloser)
	if !ok || !e.conns.Add(client) {
		c.Close()
		return
	}
	defer e.conns.Remove(client)
	daemon, err := e.connect(client, socket)
	if err != nil {
		reset(client)
		client.Close()
		return
	}
	if !e.conns.Add(daemon) {
		client.Close()
		return
	}
	defer e.conns.Remove(daemon)
	splice(client, daemon)
}

// connect reaches the daemon and introduces the client. A daemon that dies between accepting and reading the header
// looks like one that lives; the client then sees its connection end, as at any other moment.
func (e *Endpoint) connect(client net.Conn, socket string) (halfCloser, error) {
	header := proxyproto.HeaderProxyFromAddrs(2, client.RemoteAddr(), client.LocalAddr())
	head, err := header.Format()
	if err != nil {
		return nil, fmt.Errorf("make PROXY header: %w", err)
	}
	ctx, cancel := context.WithTimeout(e.dials, waitForDaemon)
	defer cancel()
	held := false
	defer func() {
		if held {
			e.waiting.Add(-1)
		}
	}()
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", socket)
		if err == nil {
			if _, err = conn.Write(head); err == nil {
				return conn.(*net.UnixConn), nil
			}
			conn.Close()
		}
		if ctx.Err() != nil {
			return nil, err
		}
		if !held {
			if e.waiting.Add(1) > maxWaiting {
				e.waiting.Add(-1)
				return nil, errors.New("too many connections wait for the daemon")
			}
			held = true
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// Connections returns how many ends of connections are open.
func (e *Endpoint) Connections() int { return e.conns.Len() }

// Waiting returns how many connections wait for the daemon.
func (e *Endpoint) Waiting() int { return int(e.waiting.Load()) }

// Cut closes all connections at once.
func (e *Endpoint) Cut() {
	e.stop()
	e.conns.Cut()
}

// Wait returns when the last connection has ended, or ctx.
func (e *Endpoint) Wait(ctx context.Context) error { return e.conns.Wait(ctx) }
