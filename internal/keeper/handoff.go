package keeper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/neargate/neargate/internal/keeper/sockets"
)

// A keeper is replaced in these steps. The successor asks; the old one stops everything (log offsets and health are on
// disk then), sends all listening sockets and the lock, and waits. The successor restores everything from disk upon those
// sockets and acknowledges. No listener was ever closed: what arrives in between waits in the sockets. When the
// acknowledgement does not come, the old keeper goes on with the same sockets. Connections that are open stay with
// the old process, which ends after the last.

const (
	handoffPath    = "/v1/handoff"
	handoffTimeout = 30 * time.Second
	handoffAck     = "taken\n"
)

// takeOver asks a running keeper for its sockets. Ack is to be called when everything works; without it the old one
// goes on. When no keeper runs, there is nothing to do.
func (k *keeper) takeOver(ctx context.Context) (ack func() error, err error) {
	conn, gone, err := dialSocket(ctx, k.o.Socket)
	if gone {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	_ = conn.SetDeadline(time.Now().Add(handoffTimeout))
	if _, err := io.WriteString(conn, "POST "+handoffPath+" HTTP/1.1\r\nHost: keeper\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return nil, err
	}
	// The answer to the request is one byte, then come the sockets: a buffered reader would swallow them.
	head := make([]byte, 1)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, err
	}
	if head[0] != handoffGo {
		return nil, errors.New("the running keeper refuses")
	}
	held, err := sockets.Receive(conn)
	if err != nil {
		return nil, err
	}
	var pass []sockets.Held
	for _, h := range held {
		if h.Key.Network == sockets.File {
			k.lock = h.File
			continue
		}
		pass = append(pass, h)
	}
	k.env.table.Inherit(pass)
	k.log.Info("took over", "sockets", len(pass))
	return func() error {
		defer conn.Close()
		_, err := io.WriteString(conn, handoffAck)
		return err
	}, nil
}

// handoffGo is the byte before the sockets. No HTTP answer begins with it.
const handoffGo = 'G'

// handleHandoff is the old keeper's side.
func (k *keeper) handleHandoff(w http.ResponseWriter, _ *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		writeError(w, http.StatusInternalServerError, errors.New("connection cannot be handed on"))
		return
	}
	c, _, err := hijacker.Hijack()
	if err != nil {
		k.log.Error("hand over", "error", err)
		return
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return
	}
	go k.handOver(conn)
}

func (k *keeper) handOver(conn *net.UnixConn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(handoffTimeout))
	k.log.Info("handing over to another keeper")
	k.freeze()
	held, err := k.env.table.Export()
	if err != nil {
		k.log.Error("hand over; going on", "error", err)
		k.thaw()
		return
	}
	k.closeServer()
	k.pause()
	if err := k.passOn(conn, held); err != nil {
		k.log.Error("hand over; going on", "error", err)
		k.resume(held)
		return
	}
	sockets.CloseAll(held)
	k.lock.Close() // the successor's copy keeps the lock
	k.lock = nil
	k.log.Info("handed over", "sockets", len(held))
	ctx, cancel := context.WithTimeout(context.Background(), lingerMost)
	defer cancel()
	k.env.lingers.wait(ctx)
	k.end()
}

func (k *keeper) passOn(conn *net.UnixConn, held []sockets.Held) error {
	if _, err := conn.Write([]byte{handoffGo}); err != nil {
		return err
	}
	all := append([]sockets.Held{{Key: sockets.Key{Network: sockets.File, Path: k.lock.Name()}, File: k.lock}}, held...)
	if err := sockets.Send(conn, all); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("wait for the successor: %w", err)
	}
	if line != handoffAck {
		return fmt.Errorf("the successor says %q", line)
	}
	return nil
}

// resume goes on after a handover that failed.
func (k *keeper) resume(held []sockets.Held) {
	k.env.table.Inherit(held)
	if err := k.serve(); err != nil {
		k.log.Error("serve control socket again", "error", err)
		k.end() // somebody must notice; what is on disk is complete
		return
	}
	if err := k.restore(); err != nil {
		k.log.Error("restore", "error", err)
		k.end()
	}
	k.env.table.CloseInherited()
}
