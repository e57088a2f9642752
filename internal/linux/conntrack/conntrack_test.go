package conntrack_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/neargate/neargate/internal/linux/conntrack"
	"github.com/neargate/neargate/internal/linux/nft"
	"github.com/neargate/neargate/internal/linux/sysctl"
	"github.com/neargate/neargate/internal/ruleset"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

func TestMain(m *testing.M) { nettest.Main(m) }

func TestListAndDelete(t *testing.T) {
	ns := nettest.Namespace(t, "ng-test-track")
	c, err := nft.Open(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// A rule that asks for the state of flows turns tracking on.
	err = c.Replace(&ruleset.Table{Chains: []ruleset.Chain{{Name: "input", Hook: &ruleset.Hook{Type: "filter", Point: "input"}, Rules: []ruleset.Rule{
		{Matches: []ruleset.Match{ruleset.State{Mask: ruleset.Established}}, Actions: []ruleset.Action{ruleset.Verdict{Kind: ruleset.Accept}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := sysctl.Set(ns, []sysctl.Param{{Name: "netfilter.nf_conntrack_udp_timeout", Value: "33"}}); err != nil {
		t.Fatal(err)
	}
	if v, err := sysctl.Get(ns, "netfilter.nf_conntrack_udp_timeout"); err != nil || v != "33" {
		t.Fatalf("%q, %v", v, err)
	}
	if err := sysctl.Set(ns, []sysctl.Param{{Name: "ipv4.no_such_thing", Value: "1"}}); err == nil {
		t.Error("a parameter that does not exist was set")
	}
	l, err := ns.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("x"))
		}
	}()
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	var locals []uint16
	for range 2 {
		conn, err := ns.DialContext(context.Background(), "tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		locals = append(locals, conn.LocalAddr().(*net.TCPAddr).AddrPort().Port())
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	count := func() (n int) {
		t.Helper()
		flows, err := conntrack.List(ns)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range flows {
			if f.Original.Proto == 6 && f.Original.Dst == loopback && f.Original.DstPort == port && f.Reply.Src == loopback && f.Reply.SrcPort == port {
				n++
			}
		}
		return n
	}
	if n := count(); n != 2 {
		t.Fatalf("%d flows, want 2", n)
	}
	n, err := conntrack.Delete(ns, func(f conntrack.Flow) bool { return f.Original.SrcPort == locals[0] })
	if err != nil || n != 1 {
		t.Fatalf("%d deleted, %v", n, err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d flows left, want 1", n)
	}
}
