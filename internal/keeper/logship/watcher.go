package logship

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// watchPause bounds how often a busy spool is looked at; the kernel merges what happens meanwhile. It is also how
// exact the events' times are.
const watchPause = 5 * time.Millisecond

// watcher tells logs that their spool has grown, with one inotify descriptor for all.
type watcher struct {
	file *os.File
	done chan struct{}

	mu   sync.Mutex
	logs map[int32]*Log
}

func newWatcher() (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch spools: %w", os.NewSyscallError("inotify_init1", err))
	}
	w := &watcher{file: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{}), logs: map[int32]*Log{}}
	go w.run()
	return w, nil
}

// do runs fn with the descriptor, which stays non-blocking.
func (w *watcher) do(fn func(fd int) error) error {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = fn(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

func (w *watcher) add(path string, l *Log) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.do(func(fd int) error {
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_MODIFY)
		if err != nil {
			return os.NewSyscallError("inotify_add_watch", err)
		}
		if w.logs[int32(wd)] != nil {
			return errors.New("is shipped already")
		}
		w.logs[int32(wd)] = l
		return nil
	})
	if err != nil {
		return fmt.Errorf("watch spool %s: %w", path, err)
	}
	return nil
}

func (w *watcher) remove(l *Log) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for wd, other := range w.logs {
		if other == l {
			delete(w.logs, wd)
			_ = w.do(func(fd int) error { // fails when the file is gone: so is the watch
				_, err := unix.InotifyRmWatch(fd, uint32(wd))
				return err
			})
		}
	}
}

func (w *watcher) run() {
	defer close(w.done)
	buf := make([]byte, 16<<10)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return // closed
		}
		for _, l := range w.named(buf[:n]) {
			l.touch()
		}
		time.Sleep(watchPause)
	}
}

// named returns the logs that the events are about; all of them if events were lost.
func (w *watcher) named(events []byte) map[int32]*Log {
	w.mu.Lock()
	defer w.mu.Unlock()
	logs := map[int32]*Log{}
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(events))
		mask := binary.NativeEndian.Uint32(events[4:])
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		if size > len(events) {
			break
		}
		events = events[size:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			for wd, l := range w.logs {
				logs[wd] = l
			}
		}
		if mask&unix.IN_IGNORED != 0 {
			delete(w.logs, wd) // the file is gone, and the number free for another
			continue
		}
		if l := w.logs[wd]; l != nil {
			logs[wd] = l
		}
	}
	return logs
}

func (w *watcher) close() {
	w.file.Close()
	<-w.done
}
