// Package sockets makes the keeper's sockets in the namespaces where they belong, and knows all that listen, so that one
// keeper process can hand them to the next without a connection being refused in between.
//
// It does not serve anything: whoever asked for a socket accepts on it and closes it. Start at [Table].
package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
)

// Networks of a Key.
const (
	TCP  = "tcp"
	UDP  = "udp"
	Unix = "unix" // the control socket: Path instead of Address
	File = "file" // an open file that is handed on, such as a lock
)

// Key identifies a listening socket. An empty Netns is the keeper's own namespace.
type Key struct {
	Network string         `json:"network"`
	Netns   string         `json:"netns,omitempty"`
	Device  string         `json:"device,omitempty"` // only what comes in by this interface
	Address netip.AddrPort `json:"address,omitzero"`
	Path    string         `json:"path,omitempty"`
}

// String writes the key for logs and errors.
func (k Key) String() string {
	where := k.Path
	if where == "" {
		where = k.Address.String()
	}
	if k.Device != "" {
		where += "%" + k.Device
	}
	if k.Netns != "" {
		where += " in " + k.Netns
	}
	return k.Network + " " + where
}

// Table is the list of sockets that listen. It is safe for concurrent use.
type Table struct {
	mu        sync.Mutex
	held      map[Key]syscall.Conn
	inherited map[Key]*os.File
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{held: map[Key]syscall.Conn{}, inherited: map[Key]*os.File{}}
}

// Listener is a TCP or Unix listener of the table.
type Listener struct {
	net.Listener
	table *Table
	key   Key
}

// Close stops listening and forgets the socket.
func (l *Listener) Close() error {
	l.table.forget(l.key)
	return l.Listener.Close()
}

// PacketConn is a UDP socket of the table.
type PacketConn struct {
	*net.UDPConn
	table *Table
	key   Key
}

// Close closes the socket and forgets it.
func (p *PacketConn) Close() error {
	p.table.forget(p.key)
	return p.UDPConn.Close()
}

func (t *Table) forget(key Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.held, key)
}

// Listen returns a TCP listener: an inherited one, or a new one. The address need not be on an interface yet.
func (t *Table) Listen(space string, addr netip.AddrPort) (*Listener, error) {
	return t.ListenOn(space, "", addr)
}

// ListenOn is Listen for what comes in by one interface, which has to be there: several sockets may then have the same
// address, each on an interface of its own. An empty device is any interface.
func (t *Table) ListenOn(space, device string, addr netip.AddrPort) (*Listener, error) {
	key := Key{Network: TCP, Netns: space, Device: device, Address: addr}
	return t.listen(key, func() (net.Listener, error) {
		lc := net.ListenConfig{Control: func(network, address string, raw syscall.RawConn) error {
			if err := freeBind(network, address, raw); err != nil || device == "" {
				return err
			}
			return bindToDevice(raw, device)
		}}
		lc.SetMultipathTCP(false) // MPTCP sockets cannot be spliced
		var l net.Listener
		err := inside(space, func() (err error) {
			l, err = lc.Listen(context.Background(), "tcp", addr.String())
			return err
		})
		return l, err
	})
}

// ListenUnix returns a listener on a Unix socket of mode 0600; a file that is left over at the path is replaced.
func (t *Table) ListenUnix(path string) (*Listener, error) {
	l, err := t.listen(Key{Network: Unix, Path: path}, func() (net.Listener, error) {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			return nil, err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			l.Close()
			return nil, err
		}
		return l, nil
	})
	if err == nil {
		// Closing our copy must not remove the name that the next process listens on.
		l.Listener.(*net.UnixListener).SetUnlinkOnClose(false)
	}
	return l, err
}

func (t *Table) listen(key Key, open func() (net.Listener, error)) (*Listener, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.held[key]; taken {
		return nil, fmt.Errorf("listen on %s: %w", key, unix.EADDRINUSE)
	}
	var l net.Listener
	var err error
	if f := t.takeInherited(key); f != nil {
		l, err = net.FileListener(f)
		f.Close()
	} else {
		l, err = open()
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", key, err)
	}
	conn, ok := l.(syscall.Conn)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("listen on %s: inherited socket is of another kind", key)
	}
	t.held[key] = conn
	return &Listener{Listener: l, table: t, key: key}, nil
}

// ListenPacket returns a UDP socket: an inherited one, or a new one. The address need not be on an interface yet.
func (t *Table) ListenPacket(space string, addr netip.AddrPort) (*PacketConn, error) {
	key := Key{Network: UDP, Netns: space, Address: addr}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.held[key]; taken {
		return nil, fmt.Errorf("listen on %s: %w", key, unix.EADDRINUSE)
	}
	var pc net.PacketConn
	var err error
	if f := t.takeInherited(key); f != nil {
		pc, err = net.FilePacketConn(f)
		f.Close()
	} else {
		lc := net.ListenConfig{Control: freeBind}
		err = inside(space, func() (err error) {
			pc, err = lc.ListenPacket(context.Background(), "udp", addr.String())
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", key, err)
	}
	conn, ok := pc.(*net.UDPConn)
	if !ok {
		pc.Close()
		return nil, fmt.Errorf("listen on %s: inherited socket is of another kind", key)
	}
	t.held[key] = conn
	return &PacketConn{UDPConn: conn, table: t, key: key}, nil
}

func (t *Table) takeInherited(key Key) *os.File {
	f := t.inherited[key]
	delete(t.inherited, key)
	return f
}

// inside runs fn in the namespace; empty is the own one.
func inside(space string, fn func() error) error {
	if space == "" {
		return fn()
	}
	return netns.Do(space, fn)
}

// freeBind lets a socket listen before its address is on an interface: whoever wires a namespace and whoever listens
// in it need not wait for each other.
func freeBind(network, _ string, raw syscall.RawConn) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) {
		if network == "tcp6" || network == "udp6" {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
			return
		}
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	}); cerr != nil {
		return cerr
	}
	return os.NewSyscallError("setsockopt", err)
}

// bindToDevice makes a socket take only what comes in by that interface.
func bindToDevice(raw syscall.RawConn, device string) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) }); cerr != nil {
		return cerr
	}
	return os.NewSyscallError("bind to device "+device, err)
}
