package task

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/neargate/neargate/internal/linux/netns"
)

const (
	lookupAttempts = 3
	lookupTimeout  = 2 * time.Second
)

// DialFrom connects from inside a namespace; host names are looked up by the resolver, also from inside, and by nothing
// else: no hosts file and no resolver of the host may answer for a VPC.
func DialFrom(ctx context.Context, namespace string, resolver netip.AddrPort, network, address string) (net.Conn, error) {
	ns, err := netns.Open(namespace)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	d := netns.Dialer{Namespace: ns, Resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
		return lookup(ctx, ns, resolver, host)
	}}
	return d.DialContext(ctx, network, address)
}

// lookup asks for the IPv4 addresses of a name; the error is a [net.DNSError].
func lookup(ctx context.Context, ns *netns.Namespace, resolver netip.AddrPort, host string) ([]netip.Addr, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(host), dns.TypeA)
	failed := &net.DNSError{Name: host, Server: resolver.String()}
	for range lookupAttempts {
		answer, err := ask(ctx, ns, resolver, question)
		if err != nil {
			timeout, ok := errors.AsType[net.Error](err)
			failed.Err, failed.IsTimeout, failed.IsTemporary = err.Error(), ok && timeout.Timeout(), true
			if ctx.Err() != nil {
				return nil, failed
			}
			continue
		}
		var addrs []netip.Addr
		for _, rr := range answer.Answer {
			if a, ok := rr.(*dns.A); ok {
				if addr, ok := netip.AddrFromSlice(a.A.To4()); ok {
					addrs = append(addrs, addr)
				}
			}
		}
		switch {
		case len(addrs) > 0:
			return addrs, nil
		case answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError:
			failed.Err, failed.IsNotFound = "no such host", true
			return nil, failed
		}
		failed.Err, failed.IsTemporary = "server misbehaving", true
	}
	return nil, failed
}

func ask(ctx context.Context, ns *netns.Namespace, resolver netip.AddrPort, question *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	client := &dns.Client{Net: "udp", Timeout: lookupTimeout}
	for _, network := range []string{"udp", "tcp"} {
		conn, err := ns.DialContext(ctx, network, resolver.String())
		if err != nil {
			return nil, err
		}
		client.Net = network
		answer, _, err := client.ExchangeWithConnContext(ctx, question, &dns.Conn{Conn: conn})
		conn.Close()
		if err != nil {
			return nil, err
		}
		if !answer.Truncated {
			return answer, nil
		}
	}
	return nil, errors.New("answer is truncated")
}
