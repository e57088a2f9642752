package health

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// haproxy starts a real one with a backend of two servers, and returns its runtime socket.
func haproxy(t *testing.T, socket string) (stop func()) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("needs haproxy in PATH")
	}
	cfg := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf(`
global
  stats socket %s mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
backend web
  server a 127.0.0.1:1 disabled
  server b 127.0.0.1:1
backend other
  server a 127.0.0.1:1
`, socket)
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", cfg)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(stop)
	deadline := time.Now().Add(20 * time.Second)
	for {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return stop
		}
		if time.Now().After(deadline) {
			t.Fatal("haproxy does not listen")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func serverStates(t *testing.T, socket string) map[server]bool {
	t.Helper()
	out, err := runtimeCommand(context.Background(), socket, "show servers state")
	if err != nil {
		t.Fatal(err)
	}
	states, err := parseServersState(out)
	if err != nil {
		t.Fatal(err)
	}
	return states
}

func TestServersOfARealHAProxy(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "h.sock")
	haproxy(t, socket)
	a, b, other := server{"web", "a"}, server{"web", "b"}, server{"other", "a"}
	if diff := cmp.Diff(map[server]bool{a: false, b: true, other: true}, serverStates(t, socket), cmp.AllowUnexported(server{})); diff != "" {
		t.Fatal(diff)
	}
	wanted := map[server]bool{a: true, b: false, {"web", "new"}: true}
	missing, err := applyServers(context.Background(), socket, wanted)
	if err != nil || len(missing) != 1 || missing[0].name != "new" {
		t.Errorf("missing %v, %v", missing, err)
	}
	if diff := cmp.Diff(map[server]bool{a: true, b: false, other: true}, serverStates(t, socket), cmp.AllowUnexported(server{})); diff != "" {
		t.Error(diff)
	}
}

func TestCheckerSetsServersAgainAfterARestart(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "h.sock")
	stop := haproxy(t, socket)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	open := l.Addr().(*net.TCPAddr).AddrPort()
	g := Group{
		ID: "tg", Protocol: TCP, Interval: time.Second, Timeout: time.Second, HealthyThreshold: 2, UnhealthyThreshold: 2, Backends: []string{"web"},
		Targets: []TargetSpec{
			{ID: "a", Address: open.Addr(), Port: open.Port(), Server: "a"},
			{ID: "b", Address: netip.MustParseAddr("127.0.0.1"), Port: 1, Server: "b"},
		},
	}
	c := NewChecker(Options{Dial: plainDial, Scale: func(d time.Duration) time.Duration { return d / 10 }}, nil)
	defer c.Stop()
	if err := c.Set(Config{HAProxySocket: socket, Groups: []Group{g}}); err != nil {
		t.Fatal(err)
	}
	wait := func() {
		t.Helper()
		deadline := time.Now().Add(20 * time.Second)
		for {
			s := serverStates(t, socket)
			if s[server{"web", "a"}] && !s[server{"web", "b"}] {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("servers are %v", s)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	wait()
	stop()
	haproxy(t, socket) // comes back as its configuration file says
	wait()
}
