package network

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

// dialFrom connects from a given address and port, which need not be the host's own.
func dialFrom(w *world, h *host, from, to netip.AddrPort) (net.Conn, error) {
	var c net.Conn
	err := h.ns.Do(func() (err error) {
		ctx, cancel := context.WithTimeout(w.ctx, ample)
		defer cancel()
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Control: func(_, _ string, raw syscall.RawConn) error {
			var serr error
			err := raw.Control(func(fd uintptr) {
				serr = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
			})
			if err != nil {
				return err
			}
			return serr
		}}
		c, err = d.DialContext(ctx, "tcp4", to.String())
		return err
	})
	return c, err
}

func TestAntiSpoof(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	front := w.group(v, egressAll())
	back := w.group(v, egressAll(), ingressTCP(80, front))
	member, server, liar := w.task(v, 0, front), w.task(v, 1, back), w.task(v, 0, back)
	pc, err := server.ns.ListenPacket(w.ctx, "udp4", "0.0.0.0:53")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	w.change(v, func() {
		v.Rules = append(v.Rules, &model.SecurityGroupRule{ID: "sgr-udp", GroupID: back, Protocol: model.ProtoUDP, From: 53, To: 53, RefGroupID: front})
	})
	send := func(from *host, as netip.Addr) {
		t.Helper()
		err := from.ns.Do(func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1); err != nil {
				return err
			}
			if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1); err != nil {
				return err
			}
			if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: as.As4()}); err != nil {
				return err
			}
			return unix.Sendto(fd, []byte(as.String()), 0, &unix.SockaddrInet4{Addr: server.ip.As4(), Port: 53})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	send(liar, member.ip) // would pass by the member's group
	send(member, member.ip)
	buf := make([]byte, 100)
	_ = pc.SetReadDeadline(time.Now().Add(ample))
	n, from, err := pc.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if string(buf[:n]) != member.ip.String() || !strings.HasPrefix(from.String(), member.ip.String()) {
		t.Errorf("got %q from %s", buf[:n], from)
	}
	_ = pc.SetReadDeadline(time.Now().Add(patience))
	if n, _, err := pc.ReadFrom(buf); err == nil {
		t.Errorf("a spoofed packet passed: %q", buf[:n])
	}
	drops, err := w.net.Drops(v.VPC.ID)
	if err != nil {
		t.Fatal(err)
	}
	if drops[liar.eni.ID]["spoofed"] == 0 {
		t.Errorf("not counted: %v", drops)
	}
}

func TestRouterAnswersOnlyAsResolver(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	closed := w.group(v) // no rules at all
	task := w.task(v, 1, closed)
	router, err := netns.Open(model.VPCNetns(v.VPC.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer router.Close()
	for _, address := range []string{"10.0.0.2", "169.254.169.253"} {
		h := &host{w: w, ns: router, ip: netip.MustParseAddr(address)}
		h.serveAt(address + ":53")
		h.serveAt(address + ":80")
		task.reaches(h.ip, 53)
		task.fails(h.ip, 80)
	}
	gateway := &host{w: w, ns: router}
	gateway.serveAt("10.0.1.1:53")
	task.fails(netip.MustParseAddr("10.0.1.1"), 53)
	w.change(v, func() {
		edited := *v.VPC
		edited.DNSSupport = false
		v.VPC = &edited
	})
	task.fails(netip.MustParseAddr("10.0.0.2"), 53)
}

func TestUnknownDestinationsAreSilent(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll())
	task := w.task(v, 0, g)
	for _, to := range []string{"10.0.0.250", "10.0.9.9", "192.0.2.1", "169.254.1.1"} {
		_, _, err := task.dialWithin(netip.MustParseAddr(to), 80, patience)
		if !os.IsTimeout(err) {
			t.Errorf("%s: %v, want a time-out", to, err)
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll(), ingressTCP(80, "0.0.0.0/0"))
	stays := w.task(v, 0, g)
	w.natGateway(v)
	router, err := netns.Open(model.VPCNetns(v.VPC.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer router.Close()
	links := len(nettest.Links(t, router))
	dump := func() string { return nettest.Exec(t, router, "nft", "list", "table", "inet", "neargate") }
	nettest.Tool(t, "nft")
	lines := strings.Count(dump(), "\n")
	for range 50 {
		h := w.task(v, 1, g)
		if err := w.net.DetachENI(w.ctx, h.eni); err != nil {
			t.Fatal(err)
		}
		if err := netns.Delete(h.eni.Netns()); err != nil {
			t.Fatal(err)
		}
		w.change(v, func() {
			v.Interfaces = slices.DeleteFunc(slices.Clone(v.Interfaces), func(e *model.NetworkInterface) bool { return e == h.eni })
		})
	}
	if n := len(nettest.Links(t, router)); n != links {
		t.Errorf("%d links, %d before", n, links)
	}
	if n := strings.Count(dump(), "\n"); n != lines {
		t.Errorf("%d lines of rules, %d before", n, lines)
	}
	// The whole VPC goes.
	if err := w.net.DetachENI(w.ctx, stays.eni); err != nil {
		t.Fatal(err)
	}
	if err := netns.Delete(stays.eni.Netns()); err != nil {
		t.Fatal(err)
	}
	id := v.VPC.ID
	w.mu.Lock()
	delete(w.vpcs, id)
	w.mu.Unlock()
	if _, err := w.net.Reconcile(w.ctx, id); err != nil {
		t.Fatal(err)
	}
	if names, _ := netns.List("ng-"); !slices.Equal(names, []string{"ng-edge"}) {
		t.Errorf("left: %v", names)
	}
	if links := nettest.Links(t, w.outside().ns); !slices.Equal(links, []string{"lo"}) {
		t.Errorf("links in the edge: %v", links)
	}
	// A namespace whose records went while nobody looked.
	lost, err := netns.Create(model.VPCNetns("vpc-0123456789abcdef0"))
	if err != nil {
		t.Fatal(err)
	}
	lost.Close()
	if err := w.net.Sweep(w.ctx); err != nil {
		t.Fatal(err)
	}
	if names, _ := netns.List("ng-"); !slices.Equal(names, []string{"ng-edge"}) {
		t.Errorf("left after sweep: %v", names)
	}
}
