package ipam

import (
	"net/netip"
	"testing"
)

func TestPrivateHandsOutEveryAddressOnce(t *testing.T) {
	subnet := netip.MustParsePrefix("10.0.1.0/28")
	taken := map[netip.Addr]bool{}
	isTaken := func(a netip.Addr) bool { return taken[a] }
	for i := range Capacity(subnet) {
		addr, ok := Private(subnet, isTaken, "eni-1")
		if !ok {
			t.Fatalf("address %d of %d was refused", i+1, Capacity(subnet))
		}
		if taken[addr] || IsReserved(subnet, addr) || !subnet.Contains(addr) {
			t.Fatalf("got %s, which is taken, reserved or outside", addr)
		}
		taken[addr] = true
	}
	if addr, ok := Private(subnet, isTaken, "eni-1"); ok {
		t.Fatalf("got %s from a full subnet", addr)
	}
}

func TestReserved(t *testing.T) {
	subnet := netip.MustParsePrefix("10.0.0.0/24")
	for text, want := range map[string]bool{"10.0.0.0": true, "10.0.0.1": true, "10.0.0.3": true, "10.0.0.4": false, "10.0.0.254": false, "10.0.0.255": true} {
		if got := IsReserved(subnet, netip.MustParseAddr(text)); got != want {
			t.Errorf("IsReserved(%s) = %v, want %v", text, got, want)
		}
	}
	if got := Capacity(subnet); got != 251 { // what DescribeSubnets says of a fresh /24
		t.Errorf("Capacity = %d, want 251", got)
	}
}

func TestPublicStaysInThePool(t *testing.T) {
	for _, seed := range []string{"a", "b", "eipalloc-1"} {
		addr, ok := Public(func(netip.Addr) bool { return false }, seed)
		if !ok || addr.Compare(netip.MustParseAddr("198.18.0.10")) < 0 || addr.Compare(netip.MustParseAddr("198.18.255.254")) > 0 {
			t.Errorf("Public(%q) = %s, %v", seed, addr, ok)
		}
	}
}
