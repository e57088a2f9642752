package keeper

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/keeper/logship"
	"github.com/neargate/neargate/internal/linux/netns"
)

// logsServer is a CloudWatch Logs in a namespace that takes lines, and knows a repeated batch by its token.
type logsServer struct {
	ca string

	mu    sync.Mutex
	token string
	lines []string
}

func newLogsServer(t *testing.T, space string) *logsServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"logs.us-east-1.amazonaws.com"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := &logsServer{ca: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
	ns, err := netns.Open(space)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	l, err := ns.Listen(context.Background(), "tcp4", "127.0.0.1:443")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: s}
	go func() {
		_ = srv.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}))
	}()
	t.Cleanup(func() { srv.Close() })
	return s
}

func (s *logsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the keeper was killed in the middle of a call
	}
	var in struct {
		SequenceToken string
		LogEvents     []struct{ Message string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.SequenceToken != s.token {
		s.token = in.SequenceToken
		for _, e := range in.LogEvents {
			s.lines = append(s.lines, e.Message)
		}
	}
	_, _ = io.WriteString(w, "{}")
}

func (s *logsServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

func TestKilledKeeperLosesNoLogLine(t *testing.T) {
	h := newHost(t)
	c, info := h.ensure("v1")
	s := newStage(t, h)
	server := newLogsServer(t, s.space)
	spool := filepath.Join(h.dir, "app.log")
	s.batch.Tasks[0].Logs = []logship.Config{{
		Container: "app", Spool: spool, Region: "us-east-1", Group: "/app", Stream: "app/app/t1",
		Remote: logship.Remote{Resolver: netip.MustParseAddrPort("127.0.0.2:53"), CA: server.ca, AccessKeyID: "AK", SecretAccessKey: "SK"},
	}}
	ctx := context.Background()
	if err := c.Put(ctx, s.batch); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(spool, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop := make(chan struct{})
	written := make(chan int)
	go func() {
		n := 0
		defer func() { written <- n }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			for range 20 {
				_, _ = fmt.Fprintf(f, "line %d\n", n)
				n++
			}
		}
	}()
	progress := func() {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for from := server.count(); server.count() == from; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("no line arrives")
			}
		}
	}
	progress()
	for range 3 {
		if err := syscall.Kill(info.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		waitGone(t, info.PID)
		_, info = h.ensure("v1")
		progress()
	}
	c, _ = h.ensure("v2") // replaced, too
	progress()
	close(stop)
	want := <-written
	result, err := c.DrainTask(ctx, "t1", 30*time.Second)
	if err != nil || !result.Drained {
		t.Errorf("%+v, %v", result, err)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if len(server.lines) != want {
		t.Errorf("%d lines arrived of %d", len(server.lines), want)
	}
	for i, line := range server.lines {
		if line != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	counters, err := c.Counters(ctx)
	if err != nil || len(counters.Logs) != 1 || counters.Logs[0].Dropped != 0 || counters.Logs[0].Shipped != counters.Logs[0].Written {
		t.Errorf("%+v, %v", counters, err)
	}
	if err := c.Delete(ctx, KindTask, "t1"); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(filepath.Join(h.dir, "logs")); len(entries) != 0 {
		t.Errorf("state left: %v", entries)
	}
}
