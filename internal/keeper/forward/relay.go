// Package forward passes bytes on: the front door (loopback listeners that lead into the edge, TCP and UDP) and the AWS
// service addresses (listeners in the edge that lead to the daemon's Unix socket).
//
// It reads nothing of what it passes: TCP goes through the kernel by splice. It knows no load balancers and terminates
// no TLS. Start at [Door] and [Endpoint].
package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// DialFunc makes the connection onward.
type DialFunc func(ctx context.Context) (net.Conn, error)

// halfCloser is a connection whose sending side closes alone; TCP and Unix stream connections are.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// splice copies both ways until both sides have ended. The end of one direction is passed on as such (a client that
// closes its sending side still gets its answer); an error cuts both with a reset, as it would without us in between.
func splice(a, b halfCloser) {
	errs := make(chan error, 1)
	go func() { errs <- oneWay(b, a) }()
	err := errors.Join(oneWay(a, b), <-errs)
	if err != nil {
		reset(a)
		reset(b)
	}
	a.Close()
	b.Close()
}

func oneWay(dst, src halfCloser) error {
	_, err := io.Copy(dst, src) // *net.TCPConn and *net.UnixConn: splice(2), no copy to user space
	if err != nil {
		// The other direction may wait for ever for a side that is gone.
		_ = src.SetReadDeadline(time.Unix(1, 0))
		_ = dst.SetReadDeadline(time.Unix(1, 0))
		return err
	}
	return dst.CloseWrite()
}

// reset makes the following Close send RST instead of FIN.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// acceptLoop passes each connection to handle on a goroutine of its own, until accepting fails for good. When the process
// runs out of descriptors it waits a moment instead of spinning.
func acceptLoop(l net.Listener, handle func(net.Conn)) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			if isShortage(err) {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			return err
		}
		go handle(conn)
	}
}
