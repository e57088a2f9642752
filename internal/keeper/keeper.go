package keeper

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/keeper/logship"
	"github.com/neargate/neargate/internal/keeper/metadata"
	"github.com/neargate/neargate/internal/keeper/sockets"
)

// Options of the keeper process.
type Options struct {
	// Dir holds the configuration, offsets and health on disk.
	Dir string
	// Socket is the control socket; mode 0600.
	Socket string
	// Version of the binary; a keeper of another version is replaced and hands over its sockets.
	Version string
	// Speed divides AWS delays until SetSpeed is called; 0 means 1.
	Speed  float64
	Logger *slog.Logger
}

const (
	retryEvery = time.Second
	trimAfter  = 10 // retries: the daemon has put everything by then
	// placesEvery is after how many retries it is looked whether namespaces are still the same.
	placesEvery = 3
	// lingerMost is how long a replaced keeper stays for connections that began with it.
	lingerMost = time.Hour
	lockWait   = 10 * time.Second
)

// keeper is the process.
type keeper struct {
	o       Options
	log     *slog.Logger
	env     *environment
	disk    *disk
	started time.Time

	resolvers *shelf[Resolver]
	tasks     *shelf[Task]
	checks    *shelf[LoadBalancerChecks]
	doors     *shelf[Door]
	endpoints *shelf[Endpoint]

	lock *os.File
	ends chan struct{} // closed when the process shall end: shut down, or replaced
	once sync.Once

	mu     sync.Mutex
	server *http.Server
}

// Run is the keeper process. It takes over the sockets of a keeper that runs already, restores what is on disk, and serves
// until ctx ends, it is told to shut down, or another keeper takes over. Signals are the caller's: end ctx on SIGTERM.
func Run(ctx context.Context, o Options) error {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	// An idle keeper has a heap of a few megabytes: collecting more often costs nothing worth mentioning.
	debug.SetGCPercent(50)
	if err := raiseLimits(); err != nil {
		o.Logger.Debug("raise limits", "error", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("make keeper folder: %w", err)
	}
	k, err := newKeeper(o)
	if err != nil {
		return err
	}
	defer k.env.shipper.Close()
	ack, err := k.takeOver(ctx)
	if err != nil {
		return fmt.Errorf("take over from the running keeper: %w", err)
	}
	if err := k.acquireLock(ctx); err != nil {
		return err
	}
	if err := k.restore(); err != nil {
		return err
	}
	if err := k.serve(); err != nil {
		return err
	}
	if err := ack(); err != nil {
		return fmt.Errorf("take over from the running keeper: %w", err)
	}
	for _, key := range k.env.table.CloseInherited() {
		k.log.Info("closed a socket that nothing needs", "socket", key.String())
	}
	k.log.Info("keeper is ready", "version", o.Version, "pid", os.Getpid())

	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for ticks := 1; ; ticks++ {
		select {
		case <-tick.C:
			k.retry()
			if ticks%placesEvery == 0 {
				k.checkPlaces()
			}
			if ticks == trimAfter {
				if err := trimMemory(); err != nil {
					k.log.Debug("trim memory", "error", err)
				}
			}
		case <-ctx.Done():
			k.end()
		case <-k.ends:
			k.stop()
			return nil
		}
	}
}

func newKeeper(o Options) (*keeper, error) {
	shipper, err := logship.NewShipper(logship.Options{Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	b := newBoard(hex.EncodeToString(id))
	env := &environment{
		dir: o.Dir, table: sockets.NewTable(), board: b, log: o.Logger, shipper: shipper,
		metadata: metadata.NewServer(metadata.Options{Logger: o.Logger}),
	}
	env.clock.Store(clock.New(o.Speed))
	d := newDisk(o.Dir)
	k := &keeper{
		o: o, log: o.Logger, env: env, disk: d, started: time.Now().UTC(), ends: make(chan struct{}),
		resolvers: newShelf(KindResolver, d, b, o.Logger, env.startResolver),
		tasks:     newShelf(KindTask, d, b, o.Logger, env.startTask),
		checks:    newShelf(KindLoadBalancer, d, b, o.Logger, env.startChecks),
		doors:     newShelf(KindDoor, d, b, o.Logger, env.startDoor),
		endpoints: newShelf(KindEndpoint, d, b, o.Logger, env.startEndpoint),
	}
	k.tasks.forget, k.checks.forget = env.forgetLogs, env.forgetHealth
	return k, nil
}

// end asks the process to end.
func (k *keeper) end() { k.once.Do(func() { close(k.ends) }) }

// restore starts what is on disk; the resolvers first, for the logs need them.
func (k *keeper) restore() error {
	objects, broken, err := k.disk.open()
	if err != nil {
		return err
	}
	if broken > 0 {
		k.log.Warn("left out broken lines of the journal", "lines", broken)
	}
	k.resolvers.restore(objects[KindResolver])
	k.endpoints.restore(objects[KindEndpoint])
	k.tasks.restore(objects[KindTask])
	k.checks.restore(objects[KindLoadBalancer])
	k.doors.restore(objects[KindDoor])
	return nil
}

func (k *keeper) retry() {
	k.resolvers.retry()
	k.endpoints.retry()
	k.tasks.retry()
	k.checks.retry()
	k.doors.retry()
}

func (k *keeper) checkPlaces() {
	k.resolvers.checkPlaces()
	k.endpoints.checkPlaces()
	k.tasks.checkPlaces()
	k.checks.checkPlaces()
	k.doors.checkPlaces()
}

// freeze refuses changes from here on; those under way are waited for.
func (k *keeper) freeze() {
	k.doors.freeze()
	k.checks.freeze()
	k.tasks.freeze()
	k.endpoints.freeze()
	k.resolvers.freeze()
}

// thaw takes changes again.
func (k *keeper) thaw() {
	k.doors.thaw()
	k.checks.thaw()
	k.tasks.thaw()
	k.endpoints.thaw()
	k.resolvers.thaw()
}

// pause stops everything so that another process, or restore, can go on with it.
func (k *keeper) pause() {
	k.doors.pause()
	k.checks.pause()
	k.tasks.pause()
	k.endpoints.pause()
	k.resolvers.pause()
	k.disk.close()
}

// stop ends the process's work. Connections that are open are cut with it, except when another keeper has taken over.
func (k *keeper) stop() {
	k.closeServer()
	k.pause()
	if k.lock != nil {
		k.lock.Close()
	}
}

// acquireLock makes sure that there is one keeper per folder. A lock that came with the sockets is held already.
func (k *keeper) acquireLock(ctx context.Context) error {
	if k.lock != nil {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(k.o.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open keeper lock: %w", err)
	}
	deadline := time.Now().Add(lockWait)
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			k.lock = f
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) || ctx.Err() != nil {
			f.Close()
			return fmt.Errorf("another keeper holds %s and does not answer: %w", f.Name(), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// serve answers on the control socket.
func (k *keeper) serve() error {
	l, err := k.env.table.ListenUnix(k.o.Socket)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: k.handler(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(k.log.Handler(), slog.LevelDebug),
	}
	k.mu.Lock()
	k.server = srv
	k.mu.Unlock()
	go func() {
		if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			k.log.Error("serve control socket", "error", err)
		}
	}()
	return nil
}

// closeServer stops answering: also connections that are open end, so that clients come back and find the successor.
func (k *keeper) closeServer() {
	k.mu.Lock()
	srv := k.server
	k.server = nil
	k.mu.Unlock()
	if srv != nil {
		srv.Close()
	}
}

// dialSocket connects to a keeper; gone reports that there is none.
func dialSocket(ctx context.Context, socket string) (conn *net.UnixConn, gone bool, err error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		gone = errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)
		return nil, gone, err
	}
	return c.(*net.UnixConn), false, nil
}
