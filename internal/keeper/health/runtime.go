package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	runtimeTimeout  = 2 * time.Second
	commandsPerLine = 64 // keeps a line far below HAProxy's buffer of 16 KiB
)

// server names one server of one backend.
type server struct{ backend, name string }

// applyServers makes HAProxy's servers take requests or not as wanted. It reads first and sets only what differs, so that
// it can be repeated at will: after HAProxy was restarted or reloaded, that puts everything right. Servers that
// HAProxy does not have (yet) are returned.
func applyServers(ctx context.Context, socket string, wanted map[server]bool) (missing []server, err error) {
	out, err := runtimeCommand(ctx, socket, "show servers state")
	if err != nil {
		return nil, err
	}
	have, err := parseServersState(out)
	if err != nil {
		return nil, err
	}
	var commands []string
	for s, ready := range wanted {
		cur, ok := have[s]
		switch {
		case !ok:
			missing = append(missing, s)
		case cur != ready:
			state := "maint"
			if ready {
				state = "ready"
			}
			commands = append(commands, fmt.Sprintf("set server %s/%s state %s", s.backend, s.name, state))
		}
	}
	// Servers that begin to serve come first: no moment without any.
	slices.SortFunc(commands, func(a, b string) int {
		if ra, rb := strings.HasSuffix(a, "ready"), strings.HasSuffix(b, "ready"); ra != rb {
			if ra {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for chunk := range slices.Chunk(commands, commandsPerLine) {
		out, err := runtimeCommand(ctx, socket, strings.Join(chunk, ";"))
		if err != nil {
			return missing, err
		}
		if text := strings.TrimSpace(out); text != "" && !strings.HasPrefix(text, "No such server") {
			return missing, fmt.Errorf("haproxy: %s", text)
		}
	}
	return missing, nil
}

// runtimeCommand sends one line to the runtime socket and returns all that comes back.
func runtimeCommand(ctx context.Context, socket, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runtimeTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return "", fmt.Errorf("connect to haproxy: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", fmt.Errorf("write to haproxy: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(conn, 16<<20))
	if err != nil {
		return "", fmt.Errorf("read from haproxy: %w", err)
	}
	return string(out), nil
}

// Bits of srv_admin_state that an operator (or we) set, and that `state ready` clears.
const (
	forcedMaintenance = 0x01
	forcedDrain       = 0x08
)

// parseServersState reads `show servers state` (format 1): which servers take requests, as far as their administrative
// state goes.
func parseServersState(out string) (map[server]bool, error) {
	sc := bufio.NewScanner(strings.NewReader(out))
	sc.Buffer(nil, 1<<20)
	if !sc.Scan() || strings.TrimSpace(sc.Text()) != "1" {
		return nil, fmt.Errorf("haproxy: unknown server state format %q", sc.Text())
	}
	servers := map[server]bool{}
	backend, name, admin := -1, -1, -1
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		if len(fields) == 0 {
			continue
		}
		if fields[0] == "#" {
			fields = fields[1:]
			backend, name, admin = slices.Index(fields, "be_name"), slices.Index(fields, "srv_name"), slices.Index(fields, "srv_admin_state")
			continue
		}
		if min(backend, name, admin) < 0 || len(fields) <= max(backend, name, admin) {
			return nil, fmt.Errorf("haproxy: unknown server state line %q", sc.Text())
		}
		state, err := strconv.ParseUint(fields[admin], 0, 32)
		if err != nil {
			return nil, fmt.Errorf("haproxy: server state %q: %w", fields[admin], err)
		}
		servers[server{backend: fields[backend], name: fields[name]}] = state&(forcedMaintenance|forcedDrain) == 0
	}
	return servers, sc.Err()
}
