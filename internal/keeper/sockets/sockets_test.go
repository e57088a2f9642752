package sockets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// namespace makes a network namespace for the test.
func namespace(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	name := fmt.Sprintf("ngtest-%d-%d", os.Getpid(), time.Now().UnixNano())
	ns, err := netns.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	ns.Close()
	t.Cleanup(func() { _ = netns.Delete(name) })
	return name
}

func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]*net.UnixConn, 2)
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		conns[i] = c.(*net.UnixConn)
	}
	return conns[0], conns[1]
}

func TestSocketsPassToAnotherTableWhileClientsConnect(t *testing.T) {
	space := namespace(t)
	old, next := NewTable(), NewTable()
	addr := netip.MustParseAddrPort("169.254.170.2:80") // on no interface yet
	l, err := old.Listen(space, addr)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := old.ListenPacket(space, netip.MustParseAddrPort("127.0.0.1:5353"))
	if err != nil {
		t.Fatal(err)
	}
	here, err := old.ListenUnix(t.TempDir() + "/s")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Listen(space, addr); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening twice: %v", err)
	}

	held, err := old.Export()
	if err != nil || len(held) != 3 {
		t.Fatalf("%d sockets, %v", len(held), err)
	}
	a, b := pair(t)
	if err := Send(a, held); err != nil {
		t.Fatal(err)
	}
	CloseAll(held)
	l.Close()
	pc.Close()
	here.Close()

	// Nobody accepts now; both kinds of client wait in the sockets.
	unixClient, err := net.Dial("unix", here.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer unixClient.Close()
	udpClient, err := Dialer{Netns: space}.DialContext(context.Background(), "udp", "127.0.0.1:5353")
	if err != nil {
		t.Fatal(err)
	}
	defer udpClient.Close()
	if _, err := udpClient.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}

	got, err := Receive(b)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d sockets, %v", len(got), err)
	}
	next.Inherit(got)
	l2, err := next.ListenUnix(here.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer l2.Close()
	conn, err := l2.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	pc2, err := next.ListenPacket(space, netip.MustParseAddrPort("127.0.0.1:5353"))
	if err != nil {
		t.Fatal(err)
	}
	defer pc2.Close()
	buf := make([]byte, 16)
	n, _, err := pc2.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "hello" {
		t.Errorf("datagram %q, %v", buf[:n], err)
	}
	if rest := next.CloseInherited(); len(rest) != 1 || rest[0].Address != addr {
		t.Errorf("left over: %v", rest)
	}
	// Closed for good: the address is free again.
	l3, err := next.Listen(space, addr)
	if err != nil {
		t.Fatal(err)
	}
	l3.Close()
}

func TestManySocketsAtOnce(t *testing.T) {
	old := NewTable()
	for i := range 3 * descriptorsPerFrame {
		l, err := old.Listen("", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 77, byte(i >> 8), byte(i)}), 39001))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	held, err := old.Export()
	if err != nil {
		t.Fatal(err)
	}
	defer CloseAll(held)
	a, b := pair(t)
	sent := make(chan error, 1)
	go func() { sent <- Send(a, held) }()
	got, err := Receive(b)
	if err != nil || len(got) != len(held) {
		t.Fatalf("%d of %d, %v", len(got), len(held), err)
	}
	defer CloseAll(got)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	for i := range got {
		l, err := net.FileListener(got[i].File)
		if err != nil {
			t.Fatal(err)
		}
		if l.Addr().String() != got[i].Key.Address.String() {
			t.Errorf("key %v came with %v", got[i].Key, l.Addr())
		}
		l.Close()
	}
}

func TestBrokenHandoffLeavesNothingOpen(t *testing.T) {
	old := NewTable()
	l, err := old.Listen("", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	held, err := old.Export()
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t)
	if err := sendFrame(a, held); err != nil {
		t.Fatal(err)
	}
	CloseAll(held)
	a.Close() // before the last frame
	if got, err := Receive(b); err == nil || got != nil {
		t.Errorf("took %v, %v", got, err)
	}
}

func TestAcceptAfterExportStillObeysDeadlines(t *testing.T) {
	// A duplicate that were made with File() would turn the original into a blocking socket.
	table := NewTable()
	l, err := table.Listen("", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	held, err := table.Export()
	if err != nil {
		t.Fatal(err)
	}
	defer CloseAll(held)
	_ = l.Listener.(*net.TCPListener).SetDeadline(time.Unix(1, 0))
	if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestDialFromSource(t *testing.T) {
	space := namespace(t)
	table := NewTable()
	l, err := table.Listen(space, netip.MustParseAddrPort("127.0.0.1:8080"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.WriteString(c, c.RemoteAddr().String())
			c.Close()
		}
	}()
	d := Dialer{Netns: space, Source: netip.MustParseAddr("127.0.0.9"), Timeout: 5 * time.Second}
	conn, err := d.DialContext(context.Background(), "tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != conn.LocalAddr().String() || netip.MustParseAddrPort(string(got)).Addr() != d.Source {
		t.Errorf("seen as %q, %v", got, err)
	}
	if _, err := (Dialer{Netns: space + "x"}).DialContext(context.Background(), "tcp", "127.0.0.1:8080"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing namespace: %v", err)
	}
}

// FuzzReceive takes any bytes for a handoff: an error or sockets, no panic and no endless wait.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, '[', ']'})
	f.Add([]byte{0, 0, 0, 16, '[', '{', '"', 'n'})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return // more than a socket is sure to take at once
		}
		a, b := pair(t)
		if _, err := a.Write(data); err != nil {
			t.Fatal(err)
		}
		a.Close()
		held, err := Receive(b)
		if err == nil && len(held) > 0 {
			t.Errorf("took %v out of nothing", held)
		}
	})
}
