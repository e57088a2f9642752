package ctl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	maxRequest    = 1 << 20
	headerTimeout = 10 * time.Second
	// aliveEvery is how often an empty frame is sent: writing is what finds out that a client is gone whose input nobody reads.
	aliveEvery = 5 * time.Second
)

// Server serves the control socket.
type Server struct {
	// Exec runs a command and returns its exit code when its output is written. When ctx ends, the client is gone and the
	// command has to be killed.
	Exec func(ctx context.Context, r ExecRequest, s Streams) (exitCode int, err error)
}

// Listen returns the listener of the control socket, mode 0600. A socket that a killed daemon left is replaced.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old control socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("protect control socket: %w", err)
	}
	return ln, nil
}

// Serve answers until ctx ends; commands that run then are ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+execPath, func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		s.serveExec(ctx, w, r)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	_ = server.Close()
	<-done
	running.Wait()
	return nil
}

func (s *Server) serveExec(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	req := ExecRequest{Task: r.URL.Query().Get("task"), Container: r.URL.Query().Get("container")}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&req); err != nil {
		refuse(w, "the request is no JSON: "+err.Error())
		return
	}
	switch {
	case req.Task == "":
		refuse(w, "no task")
		return
	case len(req.Command) == 0:
		refuse(w, "no command")
		return
	case r.Header.Get("Upgrade") != upgradeName:
		refuse(w, "no Upgrade: "+upgradeName)
		return
	}
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		refuse(w, "the connection cannot be taken over")
		return
	}
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Time{})
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+upgradeName+"\r\n\r\n"); err != nil {
		return
	}
	s.run(ctx, conn, buffered.Reader, req)
}

// run is the conversation after 101.
func (s *Server) run(ctx context.Context, conn net.Conn, from *bufio.Reader, req ExecRequest) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &frameWriter{w: conn}
	input, feed := io.Pipe()
	sizes := make(chan Size, 1)
	if req.TTY && req.Rows > 0 && req.Cols > 0 {
		sizes <- Size{Rows: req.Rows, Cols: req.Cols}
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		defer cancel() // without a client nobody wants the command
		defer close(sizes)
		err := receive(&frameReader{r: from}, feed, sizes)
		_ = feed.CloseWithError(err)
	})
	readers.Go(func() { stayAlive(ctx, out, cancel) })

	code, err := s.Exec(ctx, req, Streams{Stdin: input, Stdout: out.stream(frameStdout), Stderr: out.stream(frameStderr), Resize: sizes})
	status := exitStatus{Code: code}
	if err != nil {
		status.Error = err.Error()
	}
	data, _ := json.Marshal(status) // two plain fields
	_ = conn.SetWriteDeadline(time.Now().Add(headerTimeout))
	_ = out.write(frameExit, data)
	cancel()
	_ = input.Close() // who feeds it comes back
	_ = conn.Close()
	readers.Wait()
}

// receive reads the client's frames until the connection ends.
func receive(from *frameReader, feed *io.PipeWriter, sizes chan Size) error {
	for {
		kind, payload, err := from.next()
		if err != nil {
			return err
		}
		switch kind {
		case frameStdin:
			if len(payload) > 0 {
				_, _ = feed.Write(payload) // fails when the command reads no more: throw it away
			}
		case frameStdinEOF:
			_ = feed.Close()
		case frameResize:
			if size, ok := decodeSize(payload); ok {
				replace(sizes, size)
			}
		}
	}
}

// replace puts a size into the channel in place of one that nobody has taken yet: only the last one matters.
func replace(sizes chan Size, size Size) {
	for {
		select {
		case sizes <- size:
			return
		default:
		}
		select {
		case <-sizes:
		default:
		}
	}
}

func stayAlive(ctx context.Context, out *frameWriter, gone context.CancelFunc) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := out.write(frameStdout, nil); err != nil {
				gone()
				return
			}
		}
	}
}

func refuse(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(exitStatus{Error: text})
}
