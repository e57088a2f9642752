package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
)

// DialFunc connects to an address literal from the load balancer's namespace and the given address of it.
type DialFunc func(ctx context.Context, source netip.Addr, network, address string) (net.Conn, error)

const (
	userAgent   = "ELB-HealthChecker/2.0"
	maxResponse = 64 << 10 // of which only the status matters
)

// probe checks one target once and says what came out. It never takes longer than the timeout.
func probe(ctx context.Context, dial DialFunc, g Group, t TargetSpec, timeout time.Duration) Outcome {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	address := netip.AddrPortFrom(t.Address, t.Port).String()
	conn, err := dial(ctx, t.Source, "tcp", address)
	if err != nil {
		return classify(g, err)
	}
	defer conn.Close()
	if g.Protocol == TCP {
		return passed
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if g.Protocol == HTTPS {
		// The load balancer does not verify its targets' certificates, as on AWS.
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: t.Address.String()})
	}
	code, err := get(conn, address, g.Path)
	if err != nil {
		return classify(g, err)
	}
	matcher, err := ParseMatcher(g.Matcher)
	if err != nil {
		return internalError
	}
	if !matcher.Matches(code) {
		return mismatch(code)
	}
	return passed
}

// get asks for the path and returns the status code.
func get(conn net.Conn, host, path string) (int, error) {
	if path == "" {
		path = "/"
	}
	request := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nUser-Agent: " + userAgent +
		"\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, err
	}
	r := bufio.NewReader(io.LimitReader(conn, maxResponse))
	for range 5 { // 100 Continue and its like come before the answer
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return 0, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			// Read what follows, or closing would reset the connection under the target's hands.
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return resp.StatusCode, nil
		}
	}
	return 0, errors.New("no final response for " + strconv.Quote(path))
}

// classify names the reason of a check that came to no answer.
func classify(g Group, err error) Outcome {
	var timeout net.Error
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EMFILE):
		return internalError // our side: the namespace or the source address is not there
	case g.Protocol == TCP:
		return failed // the only reason that a network load balancer gives
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, syscall.ETIMEDOUT), errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	}
	return failed
}
