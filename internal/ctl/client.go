package ctl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
)

// Client runs commands through the control socket.
type Client struct {
	Socket string // path
}

// Exec runs the command and returns its exit code. When ctx ends, the command is killed. Reading Stdin may go on in the
// background until it gives something once more.
func (c *Client) Exec(ctx context.Context, r ExecRequest, s Streams) (exitCode int, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.Socket)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	from, err := upgrade(conn, r)
	if err == nil {
		exitCode, err = talk(conn, from, s)
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return exitCode, err
}

// upgrade sends the request and returns the reader of the frames that follow.
func upgrade(conn net.Conn, r ExecRequest) (*bufio.Reader, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	query := url.Values{"task": {r.Task}, "container": {r.Container}}
	if r.TTY {
		query.Set("tty", "1")
	}
	req, err := http.NewRequest(http.MethodPost, "http://neargate"+execPath+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", upgradeName)
	if err := req.Write(conn); err != nil {
		return nil, fmt.Errorf("send request: %w", err)
	}
	from := bufio.NewReader(conn)
	resp, err := http.ReadResponse(from, req)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return from, nil
	}
	defer resp.Body.Close()
	var status exitStatus
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPayload)).Decode(&status); err != nil || status.Error == "" {
		status.Error = resp.Status
	}
	return nil, errors.New(status.Error)
}

// talk passes streams on until the command has ended.
func talk(conn net.Conn, from *bufio.Reader, s Streams) (int, error) {
	out := &frameWriter{w: conn}
	done := make(chan struct{})
	defer close(done)
	var once sync.Once
	eof := func() { once.Do(func() { _ = out.write(frameStdinEOF, nil) }) }
	if s.Stdin == nil {
		eof()
	} else {
		go func() {
			_, _ = io.Copy(out.stream(frameStdin), s.Stdin)
			eof()
		}()
	}
	if s.Resize != nil {
		go func() {
			for {
				select {
				case <-done:
					return
				case size, ok := <-s.Resize:
					if !ok {
						return
					}
					_ = out.write(frameResize, size.encode())
				}
			}
		}()
	}
	frames := &frameReader{r: from}
	for {
		kind, payload, err := frames.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the daemon ended before the command did")
			}
			return 0, err
		}
		switch kind {
		case frameStdout:
			err = writeTo(s.Stdout, payload)
		case frameStderr:
			err = writeTo(s.Stderr, payload)
		case frameExit:
			var status exitStatus
			if err := json.Unmarshal(payload, &status); err != nil {
				return 0, fmt.Errorf("read exit status: %w", err)
			}
			if status.Error != "" {
				return status.Code, errors.New(status.Error)
			}
			return status.Code, nil
		}
		if err != nil {
			return 0, fmt.Errorf("write output: %w", err)
		}
	}
}

func writeTo(w io.Writer, p []byte) error {
	if w == nil || len(p) == 0 {
		return nil
	}
	_, err := w.Write(p)
	return err
}
