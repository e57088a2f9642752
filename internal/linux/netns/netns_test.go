package netns_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

func TestMain(m *testing.M) { nettest.Main(m) }

func TestCreateOpenDelete(t *testing.T) {
	nettest.Require(t)
	ns, err := netns.Create("ng-test-a")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if _, err := netns.Create("ng-test-a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second create: got %v, want fs.ErrExist", err)
	}
	again, made, err := netns.Ensure("ng-test-a")
	if err != nil || made {
		t.Fatalf("ensure: made %v, err %v", made, err)
	}
	defer again.Close()
	a, _ := ns.Inode()
	b, _ := again.Inode()
	if a != b || a == 0 {
		t.Errorf("inodes differ: %d, %d", a, b)
	}
	if names, _ := netns.List("ng-test-"); !slices.Equal(names, []string{"ng-test-a"}) {
		t.Errorf("list: %v", names)
	}
	for range 2 { // deleting twice is no error
		if err := netns.Delete("ng-test-a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := netns.Open("ng-test-a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open after delete: %v", err)
	}
}

func TestStaleFileIsReplaced(t *testing.T) {
	nettest.Namespace(t, "ng-test-first") // makes the folder
	if err := os.WriteFile(netns.Path("ng-test-stale"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if netns.Exists("ng-test-stale") {
		t.Error("a plain file counts as a namespace")
	}
	if _, err := netns.Open("ng-test-stale"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	nettest.Namespace(t, "ng-test-stale")
	if !netns.Exists("ng-test-stale") {
		t.Error("not replaced")
	}
}

func TestEnsureFromAllSides(t *testing.T) {
	nettest.Require(t)
	for range 10 {
		var wg sync.WaitGroup
		inodes := make([]uint64, 8)
		for i := range inodes {
			wg.Go(func() {
				ns, _, err := netns.Ensure("ng-test-race")
				if err != nil {
					t.Error(err)
					return
				}
				defer ns.Close()
				inodes[i], _ = ns.Inode()
			})
		}
		wg.Wait()
		if len(slices.Compact(inodes)) != 1 {
			t.Errorf("several namespaces of one name: %v", inodes)
		}
		if err := netns.Delete("ng-test-race"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadNames(t *testing.T) {
	for _, name := range []string{"", "a/b", "..", "../x", ".hidden", "a\x00b"} {
		if _, err := netns.Create(name); err == nil {
			t.Errorf("%q accepted", name)
		}
	}
}

func TestDoRestoresTheThread(t *testing.T) {
	ns := nettest.Namespace(t, "ng-test-do")
	home, err := netns.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	want, _ := home.Inode()
	inside, _ := ns.Inode()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			err := ns.Do(func() error {
				cur, err := netns.Current()
				if err != nil {
					return err
				}
				defer cur.Close()
				if n, _ := cur.Inode(); n != inside {
					t.Errorf("inside: %d, want %d", n, inside)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			cur, err := netns.Current()
			if err != nil {
				t.Error(err)
				return
			}
			defer cur.Close()
			if n, _ := cur.Inode(); n != want {
				t.Errorf("after Do: %d, want %d", n, want)
			}
			runtime.Gosched()
		})
	}
	wg.Wait()
}

func TestSocketsStayInside(t *testing.T) {
	ns := nettest.Namespace(t, "ng-test-sock")
	other := nettest.Namespace(t, "ng-test-other")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	l, err := ns.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	c, err := ns.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "ping" {
		t.Fatalf("echo: %q, %v", buf, err)
	}
	if _, err := other.DialContext(ctx, "tcp", l.Addr().String()); err == nil {
		t.Error("reached from another namespace")
	}
	if _, err := ns.DialContext(ctx, "tcp", "localhost:1"); err == nil {
		t.Error("a host name was resolved without a resolver")
	}
}

func TestDialUDPAndSource(t *testing.T) {
	ns := nettest.Namespace(t, "ng-test-udp")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	pc, err := ns.ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	d := &netns.Dialer{Namespace: ns, LocalAddr: netip.MustParseAddr("127.0.0.9")}
	c, err := d.DialContext(ctx, "udp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	_, from, err := pc.ReadFrom(buf)
	if err != nil || from.(*net.UDPAddr).IP.String() != "127.0.0.9" {
		t.Fatalf("from %v, %v", from, err)
	}
}

func TestDialTimesOut(t *testing.T) {
	ns := nettest.Namespace(t, "ng-test-full")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// A link without ARP and with nobody behind it swallows the SYN.
	nettest.Tool(t, "ip")
	nettest.Exec(t, ns, "ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1")
	nettest.Exec(t, ns, "ip", "link", "set", "d1", "up")
	nettest.Exec(t, ns, "ip", "addr", "add", "192.0.2.1/24", "dev", "d0")
	nettest.Exec(t, ns, "ip", "link", "set", "d0", "up", "arp", "off")
	d := &netns.Dialer{Namespace: ns, Timeout: 30 * time.Millisecond}
	_, err := d.DialContext(ctx, "tcp", "192.0.2.2:80")
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("got %v, want a time-out", err)
	}
}

func BenchmarkCreateDelete(b *testing.B) {
	nettest.Require(b)
	for b.Loop() {
		ns, err := netns.Create("ng-test-bench")
		if err != nil {
			b.Fatal(err)
		}
		ns.Close()
		if err := netns.Delete("ng-test-bench"); err != nil {
			b.Fatal(err)
		}
	}
}
