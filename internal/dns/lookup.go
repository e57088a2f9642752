package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	wire "github.com/miekg/dns"
)

// DialFunc connects to an address literal, for instance from inside a namespace.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

const (
	lookupTries   = 3
	lookupTimeout = 2 * time.Second
)

// Lookup asks server for the IPv4 addresses of host, as a stub resolver in that place would. The host's own resolver
// configuration plays no part. Errors are *net.DNSError.
func Lookup(ctx context.Context, dial DialFunc, server netip.AddrPort, host string) ([]netip.Addr, error) {
	query := new(wire.Msg)
	query.SetQuestion(wire.Fqdn(host), wire.TypeA)
	query.SetEdns0(ednsSize, false)
	var last error
	for try := 0; try < lookupTries && ctx.Err() == nil; try++ {
		resp, err := exchange(ctx, dial, "udp", server, query)
		if err == nil && resp.Truncated {
			resp, err = exchange(ctx, dial, "tcp", server, query)
		}
		if err != nil {
			last = err
			continue
		}
		return readAnswer(resp, server, host)
	}
	if last == nil {
		last = ctx.Err()
	}
	var timeout net.Error
	return nil, &net.DNSError{
		UnwrapErr: last, Err: last.Error(), Name: host, Server: server.String(), IsTemporary: true,
		IsTimeout: errors.Is(last, context.DeadlineExceeded) || errors.As(last, &timeout) && timeout.Timeout(),
	}
}

func exchange(ctx context.Context, dial DialFunc, network string, server netip.AddrPort, query *wire.Msg) (*wire.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	conn, err := dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	client := &wire.Conn{Conn: conn, UDPSize: ednsSize}
	if err := client.WriteMsg(query); err != nil {
		return nil, err
	}
	for {
		resp, err := client.ReadMsg()
		if err != nil {
			return nil, err
		}
		if resp.Id == query.Id {
			return resp, nil
		}
	}
}

func readAnswer(resp *wire.Msg, server netip.AddrPort, host string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, rr := range resp.Answer {
		if a, ok := rr.(*wire.A); ok {
			if addr, ok := netip.AddrFromSlice(a.A.To4()); ok {
				addrs = append(addrs, addr)
			}
		}
	}
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case resp.Rcode == wire.RcodeSuccess, resp.Rcode == wire.RcodeNameError:
		return nil, &net.DNSError{Err: "no such host", Name: host, Server: server.String(), IsNotFound: true}
	}
	return nil, &net.DNSError{
		Err: fmt.Sprintf("server answered %s", wire.RcodeToString[resp.Rcode]), Name: host, Server: server.String(),
		IsTemporary: resp.Rcode == wire.RcodeServerFailure,
	}
}
