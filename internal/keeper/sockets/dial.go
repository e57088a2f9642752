package sockets

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/neargate/neargate/internal/linux/netns"
)

// Dialer connects from inside a namespace that is named and opened anew for every connection: so it holds no
// namespace alive, and finds one that was made again.
type Dialer struct {
	Netns   string
	Source  netip.Addr // unset: the kernel chooses
	Timeout time.Duration
}

// DialContext connects to an address literal over tcp or udp.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Netns == "" {
		plain := net.Dialer{Timeout: d.Timeout}
		plain.SetMultipathTCP(false)
		if d.Source.IsValid() && network[:3] == TCP {
			plain.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.Source, 0))
		} else if d.Source.IsValid() {
			plain.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(d.Source, 0))
		}
		return plain.DialContext(ctx, network, address)
	}
	space, err := netns.Open(d.Netns)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	defer space.Close()
	inner := netns.Dialer{Namespace: space, Timeout: d.Timeout, LocalAddr: d.Source}
	return inner.DialContext(ctx, network, address)
}
