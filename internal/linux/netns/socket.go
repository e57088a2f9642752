package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dialer connects from inside a namespace. Only the creation of the socket happens inside; waiting for the connection
// holds no thread. The zero Timeout means that only the context bounds the dial.
type Dialer struct {
	Namespace *Namespace
	Timeout   time.Duration
	LocalAddr netip.Addr // source address; unset lets the kernel choose
	// Resolve turns a host name into addresses. When nil, only address literals can be dialled: the host's resolver
	// must never answer for a VPC.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

// DialContext connects to address ("192.0.2.1:443", "[2001:db8::1]:53") over tcp, tcp4, tcp6, udp, udp4 or udp6.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	stream, family, err := parseNetwork(network)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	targets, err := d.resolve(ctx, address, family)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var first error
	for _, target := range targets {
		conn, err := d.dialOne(ctx, stream, target)
		if err == nil {
			return conn, nil
		}
		var addr net.Addr = net.UDPAddrFromAddrPort(target)
		if stream {
			addr = net.TCPAddrFromAddrPort(target)
		}
		if first == nil {
			first = &net.OpError{Op: "dial", Net: network, Addr: addr, Err: err}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// DialContext connects from inside the namespace to an address literal.
func (n *Namespace) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return (&Dialer{Namespace: n}).DialContext(ctx, network, address)
}

// Resolver returns a resolver that asks server from inside the namespace. Ask it for names with a trailing dot, so that
// the search list of the host's /etc/resolv.conf plays no part.
func (n *Namespace) Resolver(server netip.AddrPort) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return n.DialContext(ctx, network, server.String())
	}}
}

// Listen listens inside the namespace on a literal address over tcp, tcp4 or tcp6.
func (n *Namespace) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return n.ListenConfig(ctx, &net.ListenConfig{}, network, address)
}

// ListenConfig is Listen with options; Control functions run inside the namespace.
func (n *Namespace) ListenConfig(ctx context.Context, lc *net.ListenConfig, network, address string) (net.Listener, error) {
	if err := checkLiteral(address); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	lc.SetMultipathTCP(false) // plain TCP: MPTCP sockets cannot be spliced
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = lc.Listen(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen in namespace %s: %w", n.name, err)
	}
	return l, nil
}

// ListenPacket opens a bound datagram socket inside the namespace on a literal address over udp, udp4 or udp6.
func (n *Namespace) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	if err := checkLiteral(address); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	var pc net.PacketConn
	err := n.Do(func() (err error) {
		pc, err = (&net.ListenConfig{}).ListenPacket(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen in namespace %s: %w", n.name, err)
	}
	return pc, nil
}

// checkLiteral refuses host names: net would look them up with the host's resolver, on another thread.
func checkLiteral(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("address %s is no literal", address)
	}
	return nil
}

func parseNetwork(network string) (stream bool, family int, err error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
		stream = true
	case "udp", "udp4", "udp6":
	default:
		return false, 0, net.UnknownNetworkError(network)
	}
	switch network[3:] {
	case "4":
		family = unix.AF_INET
	case "6":
		family = unix.AF_INET6
	}
	return stream, family, nil
}

func (d *Dialer) resolve(ctx context.Context, address string, family int) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil, err
	}
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, a)
	} else if d.Resolve != nil {
		if addrs, err = d.Resolve(ctx, host); err != nil {
			return nil, err
		}
	} else {
		return nil, &net.DNSError{Err: "no resolver for namespace " + d.Namespace.name, Name: host, IsNotFound: true}
	}
	var targets []netip.AddrPort
	for _, a := range addrs {
		a = a.Unmap()
		if family == 0 || (family == unix.AF_INET) == a.Is4() {
			targets = append(targets, netip.AddrPortFrom(a, uint16(number)))
		}
	}
	if len(targets) == 0 {
		return nil, &net.DNSError{Err: "no suitable address", Name: host, IsNotFound: true}
	}
	return targets, nil
}

// dialOne makes the socket inside and connects it from outside: a socket belongs to the namespace it was made in.
func (d *Dialer) dialOne(ctx context.Context, stream bool, target netip.AddrPort) (net.Conn, error) {
	family, kind := unix.AF_INET, unix.SOCK_DGRAM
	if target.Addr().Is6() {
		family = unix.AF_INET6
	}
	if stream {
		kind = unix.SOCK_STREAM
	}
	fd := -1
	if err := d.Namespace.Do(func() (err error) {
		fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return os.NewSyscallError("socket", err)
	}); err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "socket") // non-blocking: goes to the runtime's poller
	defer f.Close()                        // net.FileConn below works on a duplicate
	if d.LocalAddr.IsValid() {
		// The port is chosen by connect, where it only has to differ per destination: chosen by bind, it would have to
		// differ from all others of the address, and 28,000 connections a minute would use them up.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(d.LocalAddr, 0))); err != nil {
			return nil, os.NewSyscallError("bind", err)
		}
	}
	err := unix.Connect(fd, sockaddr(target))
	if errors.Is(err, unix.EINPROGRESS) {
		err = waitConnected(ctx, f)
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return nil, os.NewSyscallError("connect", err)
	} else if err != nil { // a wait that ended is no failed call, and is worded like the net package's: "dial tcp A: i/o timeout"
		return nil, err
	}
	return net.FileConn(f)
}

// waitConnected waits until the connect that is under way on f has succeeded or failed, or ctx ends.
func waitConnected(ctx context.Context, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	var result error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			result = err
			return true
		}
		if code != 0 {
			result = syscall.Errno(code)
			return true
		}
		// No error may also mean "not yet": connected is what has a peer.
		if _, err := unix.Getpeername(int(fd)); err != nil {
			return false
		}
		return true
	})
	if err != nil {
		if ctx.Err() != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return os.ErrDeadlineExceeded // net.Error with Timeout() true
			}
			return ctx.Err()
		}
		return err
	}
	return result
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}
