package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/dns"
	"github.com/neargate/neargate/internal/keeper/forward"
	"github.com/neargate/neargate/internal/keeper/logship"
	"github.com/neargate/neargate/internal/keeper/metadata"
	"github.com/neargate/neargate/internal/keeper/sockets"
	"github.com/neargate/neargate/internal/linux/netns"
)

// environment is what the objects at work share.
type environment struct {
	dir      string
	table    *sockets.Table
	board    *board
	clock    atomic.Pointer[clock.Clock]
	log      *slog.Logger
	metadata *metadata.Server
	shipper  *logship.Shipper
	lingers  lingerers
}

func (e *environment) scale(d time.Duration) time.Duration { return e.clock.Load().Scale(d) }

// lingerers are servers that accept no more and still have connections open.
type lingerers struct{ conns sockets.Conns }

type waiter interface{ Wait(context.Context) error }

// lingerer makes a waiter one of the connections that are waited for.
type lingerer struct{ waiter }

func (*lingerer) Close() error { return nil }

func (l *lingerers) add(w waiter) {
	one := &lingerer{w}
	if !l.conns.Add(one) {
		return
	}
	go func() {
		_ = w.Wait(context.Background())
		l.conns.Remove(one)
	}()
}

// wait returns when all connections have ended, or ctx.
func (l *lingerers) wait(ctx context.Context) { _ = l.conns.Wait(ctx) }

// listeners is a set of sockets that are being served, by a key of the owner's choice.
type listeners[K comparable] struct {
	open map[K]io.Closer
	wg   sync.WaitGroup
}

// set opens what is wanted and not open, then closes what is open and not wanted. After an error, what was open before
// still is.
func (l *listeners[K]) set(wanted []K, open func(K) (io.Closer, func() error, error)) error {
	if l.open == nil {
		l.open = map[K]io.Closer{}
	}
	keep := make(map[K]bool, len(wanted))
	var fresh []K
	for _, key := range wanted {
		keep[key] = true
		if _, ok := l.open[key]; ok {
			continue
		}
		c, serve, err := open(key)
		if err != nil {
			for _, key := range fresh {
				l.open[key].Close()
				delete(l.open, key)
			}
			return err
		}
		l.open[key] = c
		fresh = append(fresh, key)
		l.wg.Go(func() { _ = serve() })
	}
	for key, c := range l.open {
		if !keep[key] {
			c.Close()
			delete(l.open, key)
		}
	}
	return nil
}

// close stops listening and waits for the accepting loops. A UDP socket is closed only then: what its loop has read
// can still be answered.
func (l *listeners[K]) close() {
	for _, c := range l.open {
		if pc, ok := c.(*sockets.PacketConn); ok {
			_ = pc.SetReadDeadline(time.Unix(1, 0))
		} else {
			c.Close()
		}
	}
	l.wg.Wait()
	for key, c := range l.open {
		c.Close()
		delete(l.open, key)
	}
}

// portKey is one port of one address.
type portKey struct {
	network string
	address netip.AddrPort
}

// resolverRun is a VPC's resolver at work.
type resolverRun struct {
	env      *environment
	netns    string
	resolver *dns.Resolver
	ports    listeners[portKey]
}

func (e *environment) startResolver(spec Resolver) (running[Resolver], error) {
	r := &resolverRun{env: e, netns: spec.Netns, resolver: dns.NewResolver()}
	if err := r.update(spec); err != nil {
		r.pause()
		return nil, err
	}
	return r, nil
}

func (r *resolverRun) update(spec Resolver) error {
	if err := r.resolver.Set(spec.Zone); err != nil {
		return err
	}
	var wanted []portKey
	for _, a := range spec.Addresses {
		wanted = append(wanted, portKey{sockets.UDP, netip.AddrPortFrom(a, 53)}, portKey{sockets.TCP, netip.AddrPortFrom(a, 53)})
	}
	return r.ports.set(wanted, func(k portKey) (io.Closer, func() error, error) {
		if k.network == sockets.UDP {
			pc, err := r.env.table.ListenPacket(r.netns, k.address)
			if err != nil {
				return nil, nil, err
			}
			return pc, func() error { return r.resolver.ServePacket(pc.UDPConn) }, nil
		}
		l, err := r.env.table.Listen(r.netns, k.address)
		if err != nil {
			return nil, nil, err
		}
		return l, func() error { return r.resolver.ServeStream(l) }, nil
	})
}

func (r *resolverRun) pause() {
	r.ports.close()
	r.resolver.Retire()
	r.env.lingers.add(r.resolver)
}

func (r *resolverRun) remove() { r.pause() }

// doorRun is a front door at work.
type doorRun struct {
	env   *environment
	door  *forward.Door
	ports listeners[portKey]
	spec  atomic.Pointer[Door]
}

func (e *environment) startDoor(spec Door) (running[Door], error) {
	if err := widenPorts(spec.Netns); err != nil {
		e.log.Warn("front door has few source ports", "netns", spec.Netns, "error", err)
	}
	d := &doorRun{env: e, door: forward.NewDoor()}
	if err := d.update(spec); err != nil {
		d.remove()
		return nil, err
	}
	return d, nil
}

// widenPorts lets one source address make more than a few hundred connections a second to one listener: all clients of
// the front door come from one, and a port would else be unusable for a minute after each connection. The defaults of a
// new namespace are 28,000 ports, and no use again within that minute.
func widenPorts(space string) error {
	return netns.Do(space, func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("10240 65535"), 0),
			os.WriteFile("/proc/sys/net/ipv4/tcp_tw_reuse", []byte("1"), 0),
		)
	})
}

func (d *doorRun) update(spec Door) error {
	if old := d.spec.Load(); old != nil && (old.Listen != spec.Listen || old.Target != spec.Target || old.Source != spec.Source) {
		return fmt.Errorf("the door leads elsewhere now: %s", spec.Target)
	}
	d.spec.Store(&spec)
	var wanted []portKey
	for _, p := range spec.TCP {
		wanted = append(wanted, portKey{sockets.TCP, netip.AddrPortFrom(spec.Listen, p)})
	}
	for _, p := range spec.UDP {
		wanted = append(wanted, portKey{sockets.UDP, netip.AddrPortFrom(spec.Listen, p)})
	}
	return d.ports.set(wanted, func(k portKey) (io.Closer, func() error, error) {
		dialer := sockets.Dialer{Netns: spec.Netns, Source: spec.Source}
		target := netip.AddrPortFrom(spec.Target, k.address.Port()).String()
		dial := func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, k.network, target) }
		if k.network == sockets.UDP {
			pc, err := d.env.table.ListenPacket("", k.address)
			if err != nil {
				return nil, nil, err
			}
			return pc, func() error { return d.door.ServePacket(pc.UDPConn, dial) }, nil
		}
		l, err := d.env.table.Listen("", k.address)
		if err != nil {
			return nil, nil, err
		}
		return l, func() error { return d.door.Serve(l, dial) }, nil
	})
}

func (d *doorRun) pause() {
	d.ports.close()
	d.env.lingers.add(d.door)
}

func (d *doorRun) remove() {
	d.ports.close()
	d.door.Cut()
}

// endpointRun is a service endpoint at work.
type endpointRun struct {
	env      *environment
	endpoint *forward.Endpoint
	ports    listeners[netip.AddrPort]
	spec     *Endpoint
}

func (e *environment) startEndpoint(spec Endpoint) (running[Endpoint], error) {
	r := &endpointRun{env: e, endpoint: forward.NewEndpoint()}
	if err := r.update(spec); err != nil {
		r.remove()
		return nil, err
	}
	return r, nil
}

func (r *endpointRun) update(spec Endpoint) error {
	if r.spec != nil && r.spec.Socket != spec.Socket {
		return fmt.Errorf("the endpoint leads elsewhere now: %s", spec.Socket)
	}
	r.spec = &spec
	return r.ports.set(spec.Listen, func(a netip.AddrPort) (io.Closer, func() error, error) {
		l, err := r.env.table.Listen(spec.Netns, a)
		if err != nil {
			return nil, nil, err
		}
		return l, func() error { return r.endpoint.Serve(l, spec.Socket) }, nil
	})
}

func (r *endpointRun) pause() {
	r.ports.close()
	r.env.lingers.add(r.endpoint)
}

func (r *endpointRun) remove() {
	r.ports.close()
	r.endpoint.Cut()
}

// readInterfaces reads the interface counters of a namespace.
func readInterfaces(space string) (map[string]metadata.NetworkStats, error) {
	var data []byte
	err := netns.Do(space, func() (err error) {
		data, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		return nil, err
	}
	return metadata.ParseNetDev(data)
}
