package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// commandTimeout bounds one exchange with HAProxy, which answers in microseconds.
const commandTimeout = 5 * time.Second

// Runtime speaks to the runtime API of a running HAProxy. It is safe for concurrent use; every call makes its own connection.
type Runtime struct{ Socket string }

// State is the administrative state of a server.
type State string

// The states: Ready takes requests, Drain finishes what it has, Maint gets none.
const (
	Ready State = "ready"
	Drain State = "drain"
	Maint State = "maint"
)

// Info is what a running worker tells about itself.
type Info struct {
	PID       int
	Structure string // of the configuration it runs, see [Rendered]
	Conns     int
	Requests  uint64
}

// ServerStatus is a server as it runs.
type ServerStatus struct {
	Backend, Name string
	Address       string // address:port
	State         State
}

// ErrNotRunning says that nobody answers at the socket.
var ErrNotRunning = errors.New("HAProxy does not answer")

// Command sends one command line, or several joined by semicolons, and returns the answer.
func (r Runtime) Command(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", r.Socket)
	if err != nil {
		return "", fmt.Errorf("%w at %s: %w", ErrNotRunning, r.Socket, err)
	}
	defer conn.Close()
	if t, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(t)
	}
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", fmt.Errorf("runtime command %q: %w", command, err)
	}
	out, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("runtime command %q: %w", command, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// expect sends a command that answers one of the texts when it worked, or nothing at all.
func (r Runtime) expect(ctx context.Context, command string, texts ...string) error {
	out, err := r.Command(ctx, command)
	if err != nil {
		return err
	}
	if out == "" {
		return nil
	}
	for _, t := range texts {
		if strings.HasPrefix(out, t) {
			return nil
		}
	}
	return fmt.Errorf("runtime command %q: %s", command, out)
}

// Info asks the running worker about itself.
func (r Runtime) Info(ctx context.Context) (Info, error) {
	out, err := r.Command(ctx, "show info")
	if err != nil {
		return Info{}, err
	}
	var info Info
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch strings.ToLower(key) {
		case "pid":
			info.PID, _ = strconv.Atoi(value)
		case "description":
			info.Structure = strings.TrimPrefix(value, "structure-")
		case "currconns":
			info.Conns, _ = strconv.Atoi(value)
		case "cumreq":
			info.Requests, _ = strconv.ParseUint(value, 10, 64)
		}
	}
	return info, nil
}

// AddServer adds a server to a node's backend of the group. It begins in [Maint].
func (r Runtime) AddServer(ctx context.Context, g Group, node string, s Server) error {
	return r.expect(ctx, fmt.Sprintf("add server %s/%s %s %s", BackendName(g.Name, node), s.Name(), s.Address, serverOptions(g)),
		"New server registered")
}

// SetState changes a server's state; a state that it has already is no error.
func (r Runtime) SetState(ctx context.Context, backend, server string, s State) error {
	return r.expect(ctx, fmt.Sprintf("set server %s/%s state %s", backend, server, s))
}

// CloseSessions cuts the requests that a server still answers.
func (r Runtime) CloseSessions(ctx context.Context, backend, server string) error {
	return r.expect(ctx, fmt.Sprintf("shutdown sessions server %s/%s", backend, server))
}

// ErrBusy says that a server still has connections and cannot be removed yet.
var ErrBusy = errors.New("server still has connections")

// DeleteServer puts a server into maintenance and removes it. It returns [ErrBusy] while it has connections.
func (r Runtime) DeleteServer(ctx context.Context, backend, server string) error {
	if err := r.SetState(ctx, backend, server, Maint); err != nil {
		return err
	}
	out, err := r.Command(ctx, fmt.Sprintf("del server %s/%s", backend, server))
	switch {
	case err != nil:
		return err
	case strings.Contains(out, "still has"), strings.Contains(out, "connections"):
		return fmt.Errorf("%s/%s: %w", backend, server, ErrBusy)
	case out == "", strings.HasPrefix(out, "Server deleted"), strings.HasPrefix(out, "No such server"):
		return nil
	}
	return fmt.Errorf("delete server %s/%s: %s", backend, server, out)
}

// Servers lists the servers of all backends.
func (r Runtime) Servers(ctx context.Context) ([]ServerStatus, error) {
	out, err := r.Command(ctx, "show servers state")
	if err != nil {
		return nil, err
	}
	return parseServersState(out)
}

// Bits of srv_admin_state in HAProxy's server state format, version 1: forced, inherited, or configured maintenance, and drain.
const (
	adminMaint = 0x01 | 0x02 | 0x20
	adminDrain = 0x08 | 0x10
)

// parseServersState reads the answer to "show servers state".
func parseServersState(text string) ([]ServerStatus, error) {
	var list []ServerStatus
	columns := map[string]int{}
	scan := bufio.NewScanner(strings.NewReader(text))
	for scan.Scan() {
		line := scan.Text()
		if head, ok := strings.CutPrefix(line, "# "); ok {
			for i, name := range strings.Fields(head) {
				columns[name] = i
			}
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 || len(columns) == 0 || len(fields) < len(columns) {
			continue // the version, or an empty line
		}
		admin, err := strconv.Atoi(fields[columns["srv_admin_state"]])
		if err != nil {
			return nil, fmt.Errorf("server state line %q: %w", line, err)
		}
		s := ServerStatus{
			Backend: fields[columns["be_name"]],
			Name:    fields[columns["srv_name"]],
			Address: net.JoinHostPort(fields[columns["srv_addr"]], fields[columns["srv_port"]]),
			State:   Ready,
		}
		switch {
		case admin&adminMaint != 0:
			s.State = Maint
		case admin&adminDrain != 0:
			s.State = Drain
		}
		list = append(list, s)
	}
	return list, nil
}
