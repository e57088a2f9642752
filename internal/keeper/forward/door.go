package forward

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/neargate/neargate/internal/keeper/sockets"
)

const (
	// dialTimeout is how long a client of the front door waits for an address that does not answer.
	dialTimeout = 30 * time.Second
	// udpIdle is how long a UDP flow is remembered: as long as AWS's connection tracking does (packet-path.md).
	udpIdle      = 180 * time.Second
	maxUDPFlows  = 4096
	maxDatagram  = 65535
	flowDatagram = 16 << 10 // of answers; longer ones are cut, as they would be by most receivers
)

// Door passes connections and datagrams on to one address.
type Door struct {
	conns sockets.Conns
	dials context.Context
	stop  context.CancelFunc
}

// NewDoor returns a door without listeners.
func NewDoor() *Door {
	ctx, cancel := context.WithCancel(context.Background())
	return &Door{dials: ctx, stop: cancel}
}

// Serve passes on what the listener accepts, until it fails for good; it does not close it.
func (d *Door) Serve(l net.Listener, dial DialFunc) error {
	return acceptLoop(l, func(c net.Conn) { d.pass(c, dial) })
}

func (d *Door) pass(c net.Conn, dial DialFunc) {
	client, ok := c.(halfCloser)
	if !ok || !d.conns.Add(client) {
		c.Close()
		return
	}
	defer d.conns.Remove(client)
	ctx, cancel := context.WithTimeout(d.dials, dialTimeout)
	defer cancel()
	conn, err := dial(ctx)
	if err != nil {
		reset(client) // as close to "connection refused" as one can come after the handshake
		client.Close()
		return
	}
	target, ok := conn.(halfCloser)
	if !ok || !d.conns.Add(target) {
		conn.Close()
		client.Close()
		return
	}
	defer d.conns.Remove(target)
	splice(client, target)
}

// ServePacket passes datagrams on and their answers back, one flow per client address, until reading fails for good; it
// does not close the socket.
func (d *Door) ServePacket(pc *net.UDPConn, dial DialFunc) error {
	flows := &flowTable{door: d, back: pc, dial: dial, byClient: map[netip.AddrPort]*flow{}}
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(buf)
		if err != nil {
			if isRefusal(err) {
				continue // an ICMP error about a former answer
			}
			return err
		}
		flows.send(from, buf[:n])
	}
}

// Connections returns how many TCP connections and UDP flows are open.
func (d *Door) Connections() int { return d.conns.Len() }

// Cut closes all connections and flows at once.
func (d *Door) Cut() {
	d.stop()
	d.conns.Cut()
}

// Wait returns when the last connection has ended, or ctx.
func (d *Door) Wait(ctx context.Context) error { return d.conns.Wait(ctx) }

// flowTable holds the UDP flows of one socket.
type flowTable struct {
	door *Door
	back *net.UDPConn
	dial DialFunc

	mu       sync.Mutex
	byClient map[netip.AddrPort]*flow
}

type flow struct {
	conn    net.Conn
	pending [][]byte
}

// send passes one datagram on. Dialling is quick (nothing is sent), yet it enters a namespace: it happens beside the
// reading loop, and the flow's first datagrams wait for it.
func (t *flowTable) send(client netip.AddrPort, datagram []byte) {
	t.mu.Lock()
	f, ok := t.byClient[client]
	if !ok {
		if len(t.byClient) >= maxUDPFlows {
			t.mu.Unlock()
			return
		}
		f = &flow{}
		t.byClient[client] = f
	}
	if f.conn == nil {
		if len(f.pending) < 16 {
			f.pending = append(f.pending, append([]byte(nil), datagram...))
		}
		t.mu.Unlock()
		if !ok {
			go t.run(client, f)
		}
		return
	}
	t.mu.Unlock()
	_, _ = f.conn.Write(datagram)
	_ = f.conn.SetReadDeadline(time.Now().Add(udpIdle))
}

func (t *flowTable) run(client netip.AddrPort, f *flow) {
	defer func() {
		t.mu.Lock()
		delete(t.byClient, client)
		t.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(t.door.dials, dialTimeout)
	conn, err := t.dial(ctx)
	cancel()
	if err != nil || !t.door.conns.Add(conn) {
		return
	}
	defer t.door.conns.Remove(conn)
	defer conn.Close()
	t.mu.Lock()
	f.conn = conn
	for _, d := range f.pending {
		_, _ = conn.Write(d)
	}
	f.pending = nil
	t.mu.Unlock()
	buf := make([]byte, flowDatagram)
	_ = conn.SetReadDeadline(time.Now().Add(udpIdle))
	for {
		n, err := conn.Read(buf)
		if isRefusal(err) {
			continue // nobody listens there now; the client may go on trying
		}
		if err != nil {
			return
		}
		_, _ = t.back.WriteToUDPAddrPort(buf[:n], client)
		_ = conn.SetReadDeadline(time.Now().Add(udpIdle))
	}
}

// isRefusal reports whether err is an ICMP error that a UDP socket passed up; the socket goes on.
func isRefusal(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// isShortage reports whether accepting failed for a want that passes.
func isShortage(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
