package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	wire "github.com/miekg/dns"
)

// serve runs a resolver on one loopback port, UDP and TCP, until the test ends.
func serve(t *testing.T, z Zone) (*Resolver, netip.AddrPort) {
	t.Helper()
	r := NewResolver()
	return r, serveResolver(t, r, z)
}

func serveResolver(t *testing.T, r *Resolver, z Zone) netip.AddrPort {
	t.Helper()
	if err := r.Set(z); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	pc, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.ServePacket(pc) })
	wg.Go(func() { _ = r.ServeStream(l) })
	t.Cleanup(func() { pc.Close(); l.Close(); wg.Wait() })
	return addr
}

func dialer(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func TestLookupOverSockets(t *testing.T) {
	z := testZone()
	var many []netip.Addr
	for i := range 600 {
		many = append(many, netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}))
	}
	z.Records["many.example.com"] = Record{Addresses: many}
	r, server := serve(t, z)
	ctx := context.Background()

	got, err := Lookup(ctx, dialer, server, "logs.us-east-1.amazonaws.com")
	if err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("198.19.0.13") {
		t.Errorf("lookup: %v, %v", got, err)
	}
	got, err = Lookup(ctx, dialer, server, "many.example.com") // does not fit: goes on over TCP
	if err != nil || len(got) != 600 {
		t.Errorf("long lookup: %d addresses, %v", len(got), err)
	}
	var missing *net.DNSError
	if _, err = Lookup(ctx, dialer, server, "nosuch.amazonaws.com"); !errors.As(err, &missing) || !missing.IsNotFound {
		t.Errorf("unknown name: %v", err)
	}
	if c := r.Counters(); c.Queries != 4 || c.Missing != 1 {
		t.Errorf("counters %+v", c)
	}
}

func TestSeveralQuestionsOnOneStream(t *testing.T) {
	_, server := serve(t, testZone())
	conn, err := net.Dial("tcp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	client := &wire.Conn{Conn: conn}
	for range 5 {
		req := new(wire.Msg)
		req.SetQuestion("dual.example.com.", wire.TypeA)
		if err := client.WriteMsg(req); err != nil {
			t.Fatal(err)
		}
		resp, err := client.ReadMsg()
		if err != nil || resp.Id != req.Id || len(resp.Answer) != 1 {
			t.Fatalf("%v, %v", resp, err)
		}
	}
}

func TestUpstreamIsAskedOnlyForForeignNames(t *testing.T) {
	up, upAddr := serve(t, Zone{Records: map[string]Record{
		"www.example.net": {Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.7")}},
	}})
	z := testZone()
	z.Upstream = []netip.AddrPort{upAddr}
	z.Records["shop.example.com"] = Record{CNAME: "www.example.net"}
	_, server := serve(t, z)
	ctx := context.Background()

	for _, host := range []string{"www.example.net", "shop.example.com"} {
		got, err := Lookup(ctx, dialer, server, host)
		if err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("203.0.113.7") {
			t.Errorf("%s: %v, %v", host, got, err)
		}
	}
	for _, host := range []string{"nosuch.amazonaws.com", "9.9.168.192.in-addr.arpa", "ip-1-2-3-4.ec2.internal"} {
		if _, err := Lookup(ctx, dialer, server, host); err == nil {
			t.Errorf("%s resolved", host)
		}
	}
	if c := up.Counters(); c.Queries != 2 {
		t.Errorf("upstream was asked %d times, want 2", c.Queries)
	}
}

func TestDeadUpstreamIsServfail(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	pc.Close() // refused from now on
	_, server := serve(t, Zone{Upstream: []netip.AddrPort{dead}})
	var failed *net.DNSError
	if _, err := Lookup(context.Background(), dialer, server, "www.example.net"); !errors.As(err, &failed) || failed.IsNotFound || !failed.IsTemporary {
		t.Errorf("got %v", err)
	}
}

func TestZoneChangesWhileBeingAsked(t *testing.T) {
	r, server := serve(t, testZone())
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := r.Set(testZone()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 200 {
		if _, err := Lookup(context.Background(), dialer, server, "www.example.com"); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestLimiter(t *testing.T) {
	l := newLimiter(10)
	now := time.Unix(1000, 0)
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	count := func(who netip.Addr, n int) (allowed int) {
		for range n {
			if l.allow(who, now) {
				allowed++
			}
		}
		return allowed
	}
	if got := count(a, 50); got != 10 {
		t.Errorf("first second: %d", got)
	}
	if got := count(b, 5); got != 5 {
		t.Errorf("another source: %d", got)
	}
	now = now.Add(500 * time.Millisecond)
	if got := count(a, 50); got != 5 {
		t.Errorf("half a second later: %d", got)
	}
	now = now.Add(time.Hour)
	if got := count(a, 50); got != 10 {
		t.Errorf("an hour later: %d", got)
	}
	now = now.Add(-time.Hour) // the clock may step back
	if got := count(b, 5); got != 5 {
		t.Errorf("after the clock stepped back: %d", got)
	}
}

func TestLimiterForgetsSilentSources(t *testing.T) {
	l := newLimiter(10)
	now := time.Unix(1000, 0)
	for i := range 65536 {
		l.allow(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), now.Add(time.Duration(i)*time.Millisecond))
	}
	total := 0
	for i := range l.shards {
		total += len(l.shards[i].buckets)
	}
	if total > 4096 {
		t.Errorf("%d buckets kept", total)
	}
}

func TestResolverDropsWhatExceedsTheRate(t *testing.T) {
	r := NewResolver()
	r.limit = newLimiter(1)
	server := serveResolver(t, r, testZone())
	question := new(wire.Msg)
	question.SetQuestion("dual.example.com.", wire.TypeA)
	from := func(source string) *wire.Conn {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(source)}}
		conn, err := d.Dial("udp4", server.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		return &wire.Conn{Conn: conn}
	}
	busy, other := from("127.0.0.1"), from("127.0.0.2")
	for range 5 {
		if err := busy.WriteMsg(question); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.WriteMsg(question); err != nil {
		t.Fatal(err)
	}
	if _, err := other.ReadMsg(); err != nil { // one socket is read in order: what came before has been dealt with
		t.Fatal(err)
	}
	if c := r.Counters(); c.Queries != 2 || c.Dropped != 4 {
		t.Errorf("counters %+v, want 2 queries and 4 dropped", c)
	}
}
