package sockets

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Held is a socket on its way from one process to the next.
type Held struct {
	Key  Key
	File *os.File
}

// CloseAll closes the files.
func CloseAll(held []Held) {
	for _, h := range held {
		h.File.Close()
	}
}

// Export returns duplicates of all sockets that listen, sorted by key. The originals may be closed: what arrives
// meanwhile waits in the sockets.
func (t *Table) Export() ([]Held, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held := make([]Held, 0, len(t.held))
	for key, conn := range t.held {
		f, err := duplicate(conn, key.String())
		if err != nil {
			CloseAll(held)
			return nil, fmt.Errorf("duplicate %s: %w", key, err)
		}
		held = append(held, Held{Key: key, File: f})
	}
	slices.SortFunc(held, func(a, b Held) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return held, nil
}

// Inherit lets the following Listen calls take these sockets. The table owns the files from here on.
func (t *Table) Inherit(held []Held) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range held {
		if old := t.inherited[h.Key]; old != nil {
			old.Close()
		}
		t.inherited[h.Key] = h.File
	}
}

// CloseInherited closes what nobody asked for and returns the keys.
func (t *Table) CloseInherited() []Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	var keys []Key
	for key, f := range t.inherited {
		f.Close()
		keys = append(keys, key)
	}
	clear(t.inherited)
	return keys
}

// duplicate copies the descriptor without touching the flags that both copies share: (*net.TCPListener).File would
// make the socket of the running server a blocking one.
func duplicate(conn syscall.Conn, name string) (*os.File, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if cerr := raw.Control(func(own uintptr) {
		fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	}); cerr != nil {
		return nil, cerr
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// A handoff is a run of frames: a big-endian length, that many bytes of JSON (the keys of this frame), with as many
// descriptors attached to the first byte. A frame without keys ends it.
const (
	descriptorsPerFrame = 128 // the kernel takes at most 253 (SCM_MAX_FD)
	maxFrame            = 1 << 20
)

// Send passes the sockets to the process at the other end.
func Send(conn *net.UnixConn, held []Held) error {
	for chunk := range slices.Chunk(held, descriptorsPerFrame) {
		if err := sendFrame(conn, chunk); err != nil {
			return fmt.Errorf("hand over sockets: %w", err)
		}
	}
	if err := sendFrame(conn, nil); err != nil {
		return fmt.Errorf("hand over sockets: %w", err)
	}
	return nil
}

func sendFrame(conn *net.UnixConn, held []Held) error {
	keys := make([]Key, 0, len(held))
	fds := make([]int, 0, len(held))
	for _, h := range held {
		raw, err := h.File.SyscallConn()
		if err != nil {
			return err
		}
		// Fd() would make the socket a blocking one, for the running server too.
		if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return err
		}
		keys = append(keys, h.Key)
	}
	data, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	// Descriptors travel with the length alone, so that no read mixes them with another frame's.
	if _, _, err := conn.WriteMsgUnix(head, oob, nil); err != nil {
		return err
	}
	runtime.KeepAlive(held) // the numbers above are only good while the files are open
	_, err = conn.Write(data)
	return err
}

// Receive takes the sockets that the process at the other end sends.
func Receive(conn *net.UnixConn) ([]Held, error) {
	var all []Held
	for {
		held, err := receiveFrame(conn)
		if err != nil {
			CloseAll(all)
			return nil, fmt.Errorf("take over sockets: %w", err)
		}
		if len(held) == 0 {
			return all, nil
		}
		all = append(all, held...)
	}
}

func receiveFrame(conn *net.UnixConn) (held []Held, err error) {
	var files []*os.File
	defer func() {
		if err != nil {
			for _, f := range files {
				f.Close()
			}
		}
	}()
	head, oob := make([]byte, 4), make([]byte, unix.CmsgSpace(descriptorsPerFrame*4))
	for got := 0; got < len(head); {
		n, oobn, flags, _, err := conn.ReadMsgUnix(head[got:], oob)
		if n == 0 && err == nil {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		got += n
		fresh, err := parseRights(oob[:oobn])
		files = append(files, fresh...)
		if err != nil {
			return nil, err
		}
		if flags&unix.MSG_CTRUNC != 0 {
			return nil, errors.New("too many descriptors at once, or no more may be opened")
		}
	}
	size := binary.BigEndian.Uint32(head)
	if size > maxFrame {
		return nil, fmt.Errorf("frame of %d bytes", size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(conn, data); err != nil {
		return nil, err
	}
	var keys []Key
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	if len(keys) != len(files) {
		return nil, fmt.Errorf("%d keys with %d descriptors", len(keys), len(files))
	}
	for i, key := range keys {
		held = append(held, Held{Key: key, File: files[i]})
	}
	return held, nil
}

func parseRights(oob []byte) (files []*os.File, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue // another kind of message
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "inherited"))
		}
	}
	return files, nil
}
