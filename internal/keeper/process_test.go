package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/dns"
	"github.com/neargate/neargate/internal/keeper/health"
	"github.com/neargate/neargate/internal/keeper/metadata"
	"github.com/neargate/neargate/internal/keeper/sockets"
	"github.com/neargate/neargate/internal/linux/netns"
)

// TestMain lets the test binary be a keeper: Ensure starts processes.
func TestMain(m *testing.M) {
	if dir := os.Getenv("NG_TEST_KEEPER"); dir != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err := Run(ctx, Options{
			Dir: dir, Socket: filepath.Join(dir, "keeper.sock"), Version: os.Getenv("NG_TEST_VERSION"), Speed: 20,
			Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// host is a folder with a keeper.
type host struct {
	t   testing.TB
	dir string
}

func newHost(t testing.TB) *host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: a keeper enters network namespaces")
	}
	return &host{t: t, dir: t.TempDir()}
}

// ensure starts or adopts the keeper of that version; it ends with the test.
func (h *host) ensure(version string) (*Client, Info) {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	logFile := filepath.Join(h.dir, "keeper.log")
	c, err := Ensure(context.Background(), EnsureOptions{
		Socket: filepath.Join(h.dir, "keeper.sock"), Version: version, Speed: 20, LogFile: logFile,
		Command: []string{"/usr/bin/env", "NG_TEST_KEEPER=" + h.dir, "NG_TEST_VERSION=" + version, self},
	})
	if err != nil {
		text, _ := os.ReadFile(logFile)
		h.t.Fatalf("%v\n%s", err, text)
	}
	info, err := c.Info(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		c.Close()
		if p, err := os.FindProcess(info.PID); err == nil {
			_ = p.Kill()
		}
		if h.t.Failed() {
			text, _ := os.ReadFile(logFile)
			h.t.Logf("keeper log:\n%s", text)
		}
	})
	return c, info
}

// stage is a namespace with everything in it that a keeper serves.
type stage struct {
	space  string
	door   netip.AddrPort
	batch  Batch
	target netip.AddrPort
	daemon net.Listener
}

func newStage(t testing.TB, h *host) *stage {
	t.Helper()
	s := &stage{space: namespace(t), door: netip.MustParseAddrPort("127.18.77.5:8077"), target: netip.MustParseAddrPort("127.0.0.1:8077")}
	ns, err := netns.Open(s.space)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	web, err := ns.Listen(context.Background(), "tcp4", s.target.String())
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.UserAgent()) })}
	go func() { _ = srv.Serve(web) }()
	t.Cleanup(func() { srv.Close() })
	socket := filepath.Join(h.dir, "edge.sock")
	if s.daemon, err = net.Listen("unix", socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.daemon.Close() })
	go func() {
		for {
			c, err := s.daemon.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = c.Read(make([]byte, 4096)); _, _ = io.WriteString(c, "edge") }()
		}
	}()
	loop := netip.MustParseAddr("127.0.0.1")
	s.batch = Batch{
		Resolvers: []Resolver{{ID: "vpc-1", Netns: s.space, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("169.254.169.253")}, Zone: dns.Zone{
			Records: map[string]dns.Record{"logs.us-east-1.amazonaws.com": {Addresses: []netip.Addr{loop}}},
		}}},
		Tasks: []Task{{ID: "t1", Netns: s.space, Address: netip.MustParseAddrPort("127.0.0.3:80"), MetadataNetns: s.space, MetadataDevice: "lo", Metadata: metadata.Config{
			Containers:  []metadata.Container{{ID: "c1", Document: json.RawMessage(`{"Name":"app"}`)}},
			Credentials: []metadata.Credentials{{ID: "u1", AccessKeyID: "AK", Expiration: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}},
		}}},
		LoadBalancers: []LoadBalancerChecks{{ID: "lb-1", Netns: s.space, Checks: health.Config{Groups: []health.Group{{
			ID: "tg", Protocol: health.HTTP, Interval: 10 * time.Second, Timeout: 5 * time.Second, HealthyThreshold: 5, UnhealthyThreshold: 2,
			Targets: []health.TargetSpec{{ID: "a", Address: loop, Port: s.target.Port(), Source: netip.MustParseAddr("127.0.0.4")}, {ID: "b", Address: loop, Port: 1}},
		}}}}},
		Doors:     []Door{{ID: "d1", Listen: s.door.Addr(), TCP: []uint16{s.door.Port()}, Netns: s.space, Source: netip.MustParseAddr("127.0.0.5"), Target: loop}},
		Endpoints: []Endpoint{{ID: "e1", Netns: s.space, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.6:443")}, Socket: socket}},
	}
	return s
}

func (s *stage) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return sockets.Dialer{Netns: s.space, Timeout: 10 * time.Second}.DialContext(ctx, network, address)
}

// check uses everything once.
func (s *stage) check() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	addrs, err := dns.Lookup(ctx, s.dial, netip.MustParseAddrPort("127.0.0.2:53"), "logs.us-east-1.amazonaws.com")
	if err != nil || len(addrs) != 1 {
		return fmt.Errorf("resolver: %v, %w", addrs, err)
	}
	inside := http.Client{Transport: &http.Transport{DialContext: s.dial, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	if body, err := fetch(&inside, "http://127.0.0.3/v4/c1"); err != nil || body != `{"Name":"app"}` {
		return fmt.Errorf("metadata: %q, %w", body, err)
	}
	if _, err := fetch(&inside, "http://127.0.0.3/v2/credentials/u1"); err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	outside := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	if _, err := fetch(&outside, "http://"+s.door.String()+"/"); err != nil {
		return fmt.Errorf("front door: %w", err)
	}
	conn, err := s.dial(ctx, "tcp", "127.0.0.6:443")
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	defer conn.Close()
	if body, err := io.ReadAll(conn); err != nil || string(body) != "edge" {
		return fmt.Errorf("endpoint: %q, %w", body, err)
	}
	return nil
}

func fetch(c *http.Client, url string) (string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

// waitHealth waits until the states of the targets a and b are as wanted.
func waitHealth(t *testing.T, c *Client, a, b string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	states := map[string]string{}
	var st Status
	for {
		var err error
		if st, err = c.Watch(ctx, st); err != nil {
			t.Fatalf("%v; states %v", err, states)
		}
		for _, target := range st.Targets {
			states[target.Target] = target.Health.State
		}
		if states["a"] == a && states["b"] == b {
			return
		}
	}
}

func TestKeeperSurvivesKillAndForgetsOnlyWhatItIsTold(t *testing.T) {
	h := newHost(t)
	c, first := h.ensure("v1")
	s := newStage(t, h)
	ctx := context.Background()
	if err := c.Put(ctx, s.batch); err != nil {
		t.Fatal(err)
	}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	waitHealth(t, c, health.Healthy, health.Unhealthy)

	// Adopted, not replaced.
	if _, again := h.ensure("v1"); again.PID != first.PID {
		t.Errorf("process %d was replaced by %d", first.PID, again.PID)
	}

	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitGone(t, first.PID)
	c, second := h.ensure("v1")
	if second.PID == first.PID || second.Epoch == first.Epoch {
		t.Errorf("still process %d, epoch %s", second.PID, second.Epoch)
	}
	if err := s.check(); err != nil {
		t.Errorf("after kill -9: %v", err)
	}
	st, err := c.Status(ctx)
	if err != nil || !st.Full {
		t.Fatalf("%+v, %v", st, err)
	}
	for _, target := range st.Targets { // health went on where it was
		want := map[string]string{"a": health.Healthy, "b": health.Unhealthy}[target.Target]
		if target.Health.State != want {
			t.Errorf("target %s is %s after the restart", target.Target, target.Health.State)
		}
	}

	// A VPC without enableDnsSupport has a resolver that does not answer.
	mute := s.batch.Resolvers[0]
	mute.Addresses = nil
	if err := c.PutResolver(ctx, mute); err != nil {
		t.Fatal(err)
	}
	if err := s.check(); err == nil {
		t.Error("a resolver without addresses answers")
	}

	// An identifier may be anything.
	odd := s.batch.Tasks[0]
	odd.ID, odd.Address = "arn:aws:x/a//b%2F é", netip.MustParseAddrPort("127.0.0.9:80")
	if err := c.PutTask(ctx, odd); err != nil {
		t.Fatal(err)
	}
	held, err := c.List(ctx)
	if err != nil || len(held[KindTask]) != 2 || len(held[KindDoor]) != 1 {
		t.Errorf("held %v, %v", held, err)
	}
	if err := c.Prune(ctx, KindTask, []string{"t1"}); err != nil {
		t.Fatal(err)
	}
	if held, err = c.List(ctx); err != nil || len(held[KindTask]) != 1 {
		t.Errorf("held %v, %v", held, err)
	}
	for kind := range held {
		if err := c.Prune(ctx, kind, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.check(); err == nil {
		t.Error("everything deleted, and still served")
	}
	var left []string
	_ = filepath.Walk(h.dir, func(path string, fi os.FileInfo, _ error) error {
		if fi != nil && fi.Mode().IsRegular() {
			left = append(left, filepath.Base(path))
		}
		return nil
	})
	if len(left) != 3 { // lock, journal and keeper.log
		t.Errorf("files left: %v", left)
	}
	if st, err := c.Status(ctx); err != nil || len(st.Targets) != 0 || len(st.Faults) != 0 {
		t.Errorf("status left: %+v, %v", st, err)
	}
}

func TestKeeperIsReplacedWithoutARefusedConnection(t *testing.T) {
	h := newHost(t)
	c, _ := h.ensure("v1")
	s := newStage(t, h)
	if err := c.Put(context.Background(), s.batch); err != nil {
		t.Fatal(err)
	}
	waitHealth(t, c, health.Healthy, health.Unhealthy)
	long, err := net.Dial("tcp", s.door.String()) // opened with the first keeper, used to the end
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var done atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.check(); err != nil {
					t.Error(err)
				}
				done.Add(1)
			}
		})
	}
	progress := func() {
		t.Helper()
		for from := done.Load(); done.Load() < from+20; {
			time.Sleep(time.Millisecond)
			if t.Failed() {
				break
			}
		}
	}
	progress()
	pids := map[int]bool{}
	for _, version := range []string{"v2", "v3"} {
		c2, info := h.ensure(version)
		if info.Version != version || pids[info.PID] {
			t.Errorf("got %+v", info)
		}
		pids[info.PID] = true
		progress()
		waitHealth(t, c2, health.Healthy, health.Unhealthy)
		if held, err := c2.List(context.Background()); err != nil || len(held[KindTask]) != 1 {
			t.Errorf("%s holds %v, %v", version, held, err)
		}
	}
	close(stop)
	wg.Wait()
	_ = long.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(long, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(long); err != nil || len(body) == 0 {
		t.Errorf("the old connection: %q, %v", body, err)
	}
}

func TestSuccessorThatFailsLeavesTheOldKeeperAtWork(t *testing.T) {
	h := newHost(t)
	c, first := h.ensure("v1")
	s := newStage(t, h)
	if err := c.Put(context.Background(), s.batch); err != nil {
		t.Fatal(err)
	}
	// A successor that takes the sockets and dies before it acknowledges.
	k, err := newKeeper(Options{Dir: h.dir, Socket: filepath.Join(h.dir, "keeper.sock"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer k.env.shipper.Close()
	conn, _, err := dialSocket(context.Background(), k.o.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST "+handoffPath+" HTTP/1.1\r\nHost: keeper\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	held, err := sockets.Receive(conn)
	if err != nil || len(held) < 8 {
		t.Fatalf("%d sockets, %v", len(held), err)
	}
	sockets.CloseAll(held)
	conn.Close()

	if err := s.check(); err != nil {
		t.Error(err)
	}
	fresh := NewClient(k.o.Socket)
	defer fresh.Close()
	info, err := fresh.Info(context.Background())
	if err != nil || info.PID != first.PID {
		t.Errorf("%+v, %v", info, err)
	}
	if err := fresh.PutTask(context.Background(), s.batch.Tasks[0]); err != nil {
		t.Errorf("put after the failed handover: %v", err)
	}
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for syscall.Kill(pid, 0) == nil {
		if time.Now().After(deadline) {
			t.Fatalf("process %d does not end", pid)
		}
		time.Sleep(time.Millisecond)
	}
}
