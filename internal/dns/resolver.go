package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	wire "github.com/miekg/dns"
)

const (
	maxQuery     = 4096 // larger datagrams are no questions
	maxStreams   = 64   // TCP connections per resolver
	maxForwards  = 128  // questions at the upstream per resolver
	streamIdle   = 10 * time.Second
	headerLength = 12
)

// Resolver answers for one zone on any number of sockets. Set, the Serve methods and Counters may be used concurrently.
type Resolver struct {
	index    atomic.Pointer[index]
	limit    *limiter
	streams  chan struct{}
	forwards chan struct{}
	busy     sync.WaitGroup // streams and forwards
	retired  atomic.Bool

	queries, missing, dropped, upstream atomic.Uint64
}

// Counters of a resolver since it was made.
type Counters struct{ Queries, Missing, Dropped, Upstream uint64 }

// NewResolver returns a resolver of an empty zone. Each source may send PacketsPerSecond.
func NewResolver() *Resolver {
	r := &Resolver{
		limit:    newLimiter(PacketsPerSecond),
		streams:  make(chan struct{}, maxStreams),
		forwards: make(chan struct{}, maxForwards),
	}
	r.index.Store(&index{})
	return r
}

// Set replaces the zone. Questions that are being answered see the old or the new one, never a mixture.
func (r *Resolver) Set(z Zone) error {
	ix, err := newIndex(z)
	if err != nil {
		return err
	}
	r.index.Store(ix)
	return nil
}

// Counters returns what was counted so far.
func (r *Resolver) Counters() Counters {
	return Counters{Queries: r.queries.Load(), Missing: r.missing.Load(), Dropped: r.dropped.Load(), Upstream: r.upstream.Load()}
}

// ServePacket answers on a UDP socket until reading from it fails for good (closed, or a deadline in the past); it does
// not close it. Answers leave from the socket's own address, so bind it to one.
func (r *Resolver) ServePacket(pc *net.UDPConn) error {
	in, out := make([]byte, maxQuery), make([]byte, maxQuery)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(in)
		if err != nil {
			if isTransient(err) {
				continue
			}
			return err
		}
		if !r.limit.allow(from.Addr(), time.Now()) {
			r.dropped.Add(1)
			continue
		}
		resp, later := r.Answer(in[:n], out, Datagram)
		if later != nil {
			r.goForward(func() {
				if resp := later(); resp != nil {
					_, _ = pc.WriteToUDPAddrPort(resp, from)
				}
			})
			continue
		}
		if resp != nil {
			// An asker that is gone is its own loss.
			_, _ = pc.WriteToUDPAddrPort(resp, from)
		}
	}
}

// isTransient reports whether a UDP socket may be read again: ICMP errors of former answers come up in reads.
func isTransient(err error) bool {
	var timeout net.Error
	if errors.Is(err, net.ErrClosed) || errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// ServeStream answers on a TCP listener until accepting fails for good; it does not close it.
func (r *Resolver) ServeStream(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		select {
		case r.streams <- struct{}{}:
		default:
			conn.Close()
			r.dropped.Add(1)
			continue
		}
		r.busy.Go(func() {
			defer func() { <-r.streams }()
			defer conn.Close()
			r.serveConn(conn)
		})
	}
}

func (r *Resolver) serveConn(conn net.Conn) {
	from := netip.Addr{}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		from = a.AddrPort().Addr()
	}
	var length [2]byte
	in, out := make([]byte, plainSize), make([]byte, plainSize)
	for {
		_ = conn.SetDeadline(time.Now().Add(streamIdle))
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(length[:]))
		if n < headerLength || n > maxQuery {
			return
		}
		if n > len(in) {
			in = make([]byte, maxQuery)
		}
		if _, err := io.ReadFull(conn, in[:n]); err != nil {
			return
		}
		if !r.limit.allow(from, time.Now()) {
			r.dropped.Add(1)
			return
		}
		resp, later := r.Answer(in[:n], out, Stream)
		if later != nil {
			resp = later()
		}
		if resp == nil {
			return
		}
		frame := net.Buffers{binary.BigEndian.AppendUint16(nil, uint16(len(resp))), resp}
		if _, err := frame.WriteTo(conn); err != nil || r.retired.Load() {
			return
		}
	}
}

// Retire lets every TCP connection end after the answer that it is busy with, or when it has been idle for too long. The
// sockets that are served are to be closed before.
func (r *Resolver) Retire() { r.retired.Store(true) }

// Wait returns when all connections have ended after Retire, or ctx.
func (r *Resolver) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { r.busy.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Transport tells how long an answer may be.
type Transport int

// The transports.
const (
	Datagram Transport = iota
	Stream
)

// Answer returns the packed answer to one packed question, in buf if it fits. It returns nil for what must not be
// answered. When the answer needs the upstream, later is set: it blocks, and does not use buf.
func (r *Resolver) Answer(packet, buf []byte, via Transport) (resp []byte, later func() []byte) {
	if len(packet) < headerLength {
		return nil, nil
	}
	r.queries.Add(1)
	var req, msg wire.Msg
	if err := req.Unpack(packet); err != nil {
		if packet[2]&0x80 != 0 {
			return nil, nil
		}
		return formatError(packet), nil
	}
	ix := r.index.Load()
	rest, what := ix.answer(&req, &msg)
	switch what {
	case ignored:
		return nil, nil
	case forward:
		return nil, func() []byte {
			r.upstream.Add(1)
			ask(ix.upstream, rest, &req, &msg)
			return r.finish(&req, &msg, nil, via)
		}
	}
	return r.finish(&req, &msg, buf, via), nil
}

func (r *Resolver) finish(req, msg *wire.Msg, buf []byte, via Transport) []byte {
	if msg.Rcode == wire.RcodeNameError {
		r.missing.Add(1)
	}
	if via == Datagram {
		msg.Truncate(sizeLimit(req))
	} else {
		msg.Truncate(wire.MaxMsgSize)
	}
	packed, err := msg.PackBuffer(buf)
	if err != nil {
		failed := new(wire.Msg)
		failed.SetRcode(req, wire.RcodeServerFailure)
		if packed, err = failed.PackBuffer(buf); err != nil {
			return nil
		}
	}
	return packed
}

// formatError answers a packet that begins like a question and is none.
func formatError(packet []byte) []byte {
	resp := make([]byte, headerLength)
	copy(resp, packet[:2])
	resp[2] = 0x80 | packet[2]&0x79 // response, same opcode and recursion desired
	resp[3] = 0x80 | wire.RcodeFormatError
	return resp
}

// goForward runs fn beside the reading loop, unless too many wait for the upstream already: then the question is
// dropped, and the asker asks again.
func (r *Resolver) goForward(fn func()) {
	select {
	case r.forwards <- struct{}{}:
	default:
		r.dropped.Add(1)
		return
	}
	r.busy.Go(func() {
		defer func() { <-r.forwards }()
		fn()
	})
}
