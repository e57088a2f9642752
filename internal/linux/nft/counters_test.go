package nft

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/ruleset"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

func TestInterfaceCounters(t *testing.T) {
	ns := nettest.Namespace(t, "ng-test-count")
	c, err := Open(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	table := &ruleset.Table{
		Sets: []ruleset.Set{{Name: "drops", Key: []ruleset.Type{ruleset.IfName}, Counted: true, Elements: []ruleset.Element{{Key: ruleset.IfKey("lo")}, {Key: ruleset.IfKey("ng1")}}}},
		Chains: []ruleset.Chain{{Name: "input", Hook: &ruleset.Hook{Type: "filter", Point: "input"}, Rules: []ruleset.Rule{
			{Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.IIF}, Set: "drops"}}, Actions: []ruleset.Action{ruleset.Verdict{Kind: ruleset.Drop}}},
		}}},
	}
	if err := c.Replace(table); err != nil {
		t.Fatal(err)
	}
	send(t, ns)
	send(t, ns)
	counts, err := c.InterfaceCounters("drops")
	if err != nil {
		t.Fatal(err)
	}
	if counts["lo"] != 2 || counts["ng1"] != 0 || len(counts) != 2 {
		t.Errorf("counts: %v", counts)
	}
	if _, err := c.InterfaceCounters("absent"); err == nil {
		t.Error("a set that is not there was read")
	}
	// The socket is good for more after an error.
	if _, err := c.InterfaceCounters("drops"); err != nil {
		t.Error(err)
	}
}

// send sends one datagram to the loopback interface.
func send(t *testing.T, ns *netns.Namespace) {
	t.Helper()
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzParseElements(f *testing.F) {
	b := newBatch()
	b.elements(unix.NFT_MSG_NEWSETELEM, &ruleset.Set{Name: "s", Key: []ruleset.Type{ruleset.IfName}}, []ruleset.Element{{Key: ruleset.IfKey("lo")}}, 0)
	f.Add(b.b[20+20:])
	f.Add([]byte{8, 0, 3, 0x80, 0, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, data []byte) {
		parseElements(data, func([]byte, uint64) {})
	})
}
