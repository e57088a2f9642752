package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// serve runs a server for the test and returns a client of it.
func serve(t *testing.T, exec func(context.Context, ExecRequest, Streams) (int, error)) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ctl.sock")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&Server{Exec: exec}).Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return &Client{Socket: path}
}

func TestExecPassesStreamsAndExitCode(t *testing.T) {
	var got ExecRequest
	client := serve(t, func(_ context.Context, r ExecRequest, s Streams) (int, error) {
		got = r
		in, err := io.ReadAll(s.Stdin)
		if err != nil {
			return 0, err
		}
		_, _ = s.Stdout.Write(bytes.ToUpper(in))
		_, _ = io.WriteString(s.Stderr, "to stderr")
		return 42, nil
	})
	big := strings.Repeat("abcdefgh", 40<<10) // several frames
	var stdout, stderr bytes.Buffer
	want := ExecRequest{Task: "0123", Container: "web", Command: []string{"cat", "-"}}
	code, err := client.Exec(t.Context(), want, Streams{Stdin: strings.NewReader(big), Stdout: &stdout, Stderr: &stderr})
	if err != nil || code != 42 {
		t.Fatalf("code %d, error %v", code, err)
	}
	if stdout.String() != strings.ToUpper(big) || stderr.String() != "to stderr" {
		t.Errorf("%d bytes of output, stderr %q", stdout.Len(), stderr.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestTerminalSizes(t *testing.T) {
	client := serve(t, func(_ context.Context, r ExecRequest, s Streams) (int, error) {
		if !r.TTY {
			return 0, errors.New("no terminal")
		}
		first, second := <-s.Resize, <-s.Resize
		_ = json.NewEncoder(s.Stdout).Encode([]Size{first, second})
		return 0, nil
	})
	resize := make(chan Size)
	var stdout bytes.Buffer
	go func() { resize <- Size{Rows: 30, Cols: 100} }()
	blocked, unblock := io.Pipe() // a terminal nobody types on
	defer unblock.Close()
	// The server takes the first size before it gets the second: the channel holds only one, and the last one wins.
	_, err := client.Exec(t.Context(), ExecRequest{Task: "t", Command: []string{"sh"}, TTY: true, Rows: 24, Cols: 80},
		Streams{Stdin: blocked, Stdout: &stdout, Resize: repeat(t, resize)})
	if err != nil {
		t.Fatal(err)
	}
	if got := stdout.String(); !strings.Contains(got, `{"Rows":30,"Cols":100}`) {
		t.Errorf("sizes: %s", got)
	}
}

// repeat sends the value that comes from in twice, so that a reader of two gets it even if it replaced the one before.
func repeat(t *testing.T, in <-chan Size) <-chan Size {
	out := make(chan Size)
	go func() {
		size := <-in
		for {
			select {
			case out <- size:
			case <-t.Context().Done():
				return
			}
		}
	}()
	return out
}

func TestErrorsReachTheClient(t *testing.T) {
	client := serve(t, func(context.Context, ExecRequest, Streams) (int, error) {
		return 0, errors.New("container web is not running")
	})
	_, err := client.Exec(t.Context(), ExecRequest{Task: "t", Command: []string{"ls"}}, Streams{})
	if err == nil || err.Error() != "container web is not running" {
		t.Errorf("error %v", err)
	}
	for name, r := range map[string]ExecRequest{"no task": {Command: []string{"ls"}}, "no command": {Task: "t"}} {
		if _, err := client.Exec(t.Context(), r, Streams{}); err == nil || err.Error() != name {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestClientThatLeavesEndsTheCommand(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	client := serve(t, func(ctx context.Context, _ ExecRequest, s Streams) (int, error) {
		close(started)
		<-ctx.Done()
		for range s.Resize { // closed: whoever forwards sizes ends
		}
		close(ended)
		return 0, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	blocked, unblock := io.Pipe()
	defer unblock.Close()
	if _, err := client.Exec(ctx, ExecRequest{Task: "t", Command: []string{"sleep"}}, Streams{Stdin: blocked}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	<-ended
}

func TestInputNobodyReads(t *testing.T) {
	client := serve(t, func(context.Context, ExecRequest, Streams) (int, error) { return 3, nil })
	code, err := client.Exec(t.Context(), ExecRequest{Task: "t", Command: []string{"true"}}, Streams{Stdin: strings.NewReader(strings.Repeat("x", 1<<20))})
	if err != nil || code != 3 {
		t.Errorf("code %d, error %v", code, err)
	}
}

func TestNoDaemon(t *testing.T) {
	_, err := (&Client{Socket: filepath.Join(t.TempDir(), "none")}).Exec(t.Context(), ExecRequest{}, Streams{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestPlainRequestIsRefused(t *testing.T) {
	client := serve(t, func(context.Context, ExecRequest, Streams) (int, error) { return 0, nil })
	h := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", client.Socket)
	}}}
	defer h.CloseIdleConnections()
	resp, err := h.Post("http://x/exec?task=t", "application/json", strings.NewReader(`{"command":["ls"]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for range 2 { // the second replaces what a killed daemon left
		ln, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
		defer ln.Close()
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func FuzzFrames(f *testing.F) {
	var b bytes.Buffer
	w := &frameWriter{w: &b}
	_ = w.write(frameStdin, []byte("hello"))
	_ = w.write(frameResize, Size{Rows: 1, Cols: 2}.encode())
	_ = w.write(frameStdinEOF, nil)
	f.Add(b.Bytes())
	f.Add([]byte{4, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0, 0, 0, 9, 'x'})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &frameReader{r: bytes.NewReader(data)}
		var again bytes.Buffer
		w := &frameWriter{w: &again}
		for {
			kind, payload, err := r.next()
			if err != nil {
				break
			}
			if len(payload) > maxPayload {
				t.Fatalf("%d bytes of payload", len(payload))
			}
			if err := w.write(kind, payload); err != nil {
				t.Fatal(err)
			}
		}
		// What was read whole is written back the same.
		if !bytes.HasPrefix(data, again.Bytes()) {
			t.Fatalf("read %x, wrote %x", data, again.Bytes())
		}
	})
}
